"""Shared by reports: tables and numbers as text, figure style, learning curves."""
