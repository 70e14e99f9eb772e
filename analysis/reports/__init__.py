"""One report a module, which has a `command`: a file, or a room of `numbers`, `text` and `figure`.

`build` makes a report's numbers from a sweep and settings, in a notebook as on the command line.
What two reports share goes to `drawing`, `runs` or `statistics`.
"""
