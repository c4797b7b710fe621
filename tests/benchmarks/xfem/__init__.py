"""Verification and cost of the finite elements."""
