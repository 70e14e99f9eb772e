"""The paper's and other published numbers, read from `results/reference`: nothing of our runs."""
