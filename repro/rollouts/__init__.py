"""Collecting: policies act in environments for T steps; observations, episodes, bad values.

Nothing here knows a loss or a file.
"""
