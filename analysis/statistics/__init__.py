"""Estimates and intervals as pure functions of arrays and frames: no files, no figures, no runs."""
