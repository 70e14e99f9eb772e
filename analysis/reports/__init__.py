"""One report a command: a single file, or a room with `numbers`, `text`, `figure`, `command`."""
