"""Stable-Baselines3's algorithms under this project's protocol, writing the same tables."""
