"""What reports share: numbers as text, tables, notes, the style of figures, panels, curves.

How things are shown, not what they are: no number is computed here.
"""
