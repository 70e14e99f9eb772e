"""From result files to tables and figures; of `repro` it knows `repro.runs`, the format of files.

Rooms import one way: reports -> cli -> drawing -> runs -> published -> statistics -> settings.
"""
