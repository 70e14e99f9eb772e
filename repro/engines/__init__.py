"""The arithmetic of `learning` and `networks`, faster: compiled kernels and CUDA graphs.

No definition lives here: each part does what a function of those rooms defines, and tests hold
the two equal.
"""
