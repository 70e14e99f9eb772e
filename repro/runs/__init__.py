"""The run directory on disk: what lies where, how it is written atomically, checked, and read.

No torch and no simulator here: analysis and the checks before a start import this room. `schema`
defines the columns, `files` reads and writes single files, `store` a run's directory; `checkpoint`
holds unfinished runs, `finished` opens those that are done.
"""
