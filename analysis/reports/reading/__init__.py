"""`reading`: the paper's statements about Table 1, each with its probability."""
