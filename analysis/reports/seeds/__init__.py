"""What three seeds can say: coverage of intervals, and the paper's protocol by resampling."""
