"""Estimates and intervals as pure functions of arrays; no files, no figures."""
