"""Finished runs: loading their policies, playing whole episodes, recording and filming them.

`random_policies` measures the zero of the paper's normalized score. Nothing here trains.
"""
