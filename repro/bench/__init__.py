"""Speed, measured side by side: physics, this project, Stable-Baselines3. Nothing imports this."""
