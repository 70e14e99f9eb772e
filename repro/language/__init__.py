"""PPO for language models: pretrain, reward model, and PPO at the level of tokens.

One file a stage: `pretrain`, `reward`, `ppo`, and the baselines `best_of_n` and `sft`. Runs, sweeps
and resuming are those of `training` and `sweeps`.
"""
