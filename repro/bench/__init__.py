"""Speed, measured side by side: physics alone, this project, Stable-Baselines3.

The commands are `python -m repro.bench speed|scaling|atari|gpu`. No other room imports this one.
"""
