"""One report a command: a single file, or a room with `numbers`, `text`, `figure`, `command`.

`build` makes a report's numbers from a sweep and settings, in a notebook as on the command line.
What two reports share goes to `drawing`, `runs` or `statistics`.
"""
