"""`table1`: the paper's Table 1 from runs, beside the paper's own scores."""
