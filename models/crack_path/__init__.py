"""A crack along a path in a plate, under mixed mode.

It imports `models.crack`, `fatigue`, `intensity` and `xfem`.
"""
