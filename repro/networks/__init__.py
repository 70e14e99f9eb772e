"""Actor-critic networks of P learners: shapes, initialization, forward passes, distributions.

Nothing here knows a loss, an optimizer or an environment.
"""
