"""A reproduction harness for "Proximal Policy Optimization Algorithms" (arXiv 1707.06347)."""

__version__ = "0.1.0"
