"""What updates are made of, as pure functions or nearly so: objectives, advantages, optimizers.

Also parameters, normalizers and random streams per learner. No networks, environments or files.
"""
