"""One pack from configurations to run directories: loop, resume, saving, signals, failures.

How many packs there are, and where they run, is decided in `sweeps`.
"""
