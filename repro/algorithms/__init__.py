"""One file an algorithm; `conf/algorithm` has a YAML of the same name for each."""

from repro.algorithms.ppo import PPO

ALGORITHMS = {"ppo": PPO}
