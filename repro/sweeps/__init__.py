"""Many runs: Hydra's launcher, packs, and the backends that spread packs over processes.

What happens inside a pack is decided in `training`.
"""
