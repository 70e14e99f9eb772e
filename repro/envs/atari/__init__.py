"""Atari games with the paper's preprocessing: batched, and one at a time for Gymnasium."""
