"""Search for good settings: Optuna proposes, packs train, rungs prune.

`space` reads what is searched, `study` keeps the trials in Optuna's file, `scores` makes a number
of a run, and `search` goes from round to round.
"""
