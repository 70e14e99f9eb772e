"""From overrides to a checked `Config`: its schema, its checks, its composition, its errors.

No torch and no environments here, so that bad input is refused in about a second.
"""
