"""Policies of finished runs: loading, playing whole episodes, films, random policies.

Nothing here trains.
"""
