"""The run directory on disk: what lies where, how it is written atomically, checked, and read.

No torch and no simulator here, so that analysis and the checks before a start can import this room.
`schema` defines the columns, `files` reads and writes single files; `writer` writes a run while it
trains, `checkpoint` lets it resume, `store` and `finished` read it.
"""
