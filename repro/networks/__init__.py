"""Actor-critic networks of P learners: shapes, initialization, forward passes, distributions.

`mlp` and `cnn` are networks, `layers` their arithmetic, `initialization` their first weights,
`distributions` what their outputs mean. Nothing here knows a loss, an optimizer or an environment.
"""
