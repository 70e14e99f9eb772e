"""Collecting: policies act in environments for T steps; observations, episodes, bad values.

No losses and no files.
"""
