"""Programs that `repro.bench.peers` runs, each alone in a process and until it is ended.

A program prints a line that begins with `SPS:` after each iteration, as CleanRL's scripts do. What
runs in the peers' environment imports nothing of this project.
"""
