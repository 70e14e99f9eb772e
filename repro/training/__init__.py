"""Training one pack in this process, from configurations to run directories.

`pack` is the entry; `group` trains runs that start at one iteration, with `loop` (the learners),
`results` (tables and loggers) and `saving` (checkpoints). How many packs there are, and where they
run, is decided in `sweeps`, not here.
"""
