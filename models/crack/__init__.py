"""A straight crack with one length.

It imports `models.fatigue` and what lies at the root of `models`.
"""
