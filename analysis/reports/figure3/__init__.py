"""`figure3`: every algorithm on every task, beside the paper's curves."""
