"""From overrides to a checked `Config`: schema, ranges, composition, and sentences for mistakes.

No torch and no environments here, so that bad input is refused in about a second.
"""
