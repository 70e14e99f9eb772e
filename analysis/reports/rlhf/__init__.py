"""`rlhf`: what a proxy costs: gold and proxy reward of language models against their KL."""
