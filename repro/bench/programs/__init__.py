"""Programs that `repro.bench.peers` runs, each in a process of its own until it is killed.

A program prints a line that begins with `SPS:` after each iteration, as CleanRL's scripts do. What
runs in the peers' environment imports nothing of this project.
"""
