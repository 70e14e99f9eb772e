"""Measurements behind the explanatory figures: one module a figure, run by the algorithms here.

Each module has `measure(size) -> tables`; `python -m repro.explain NAME` writes them.
"""
