"""Payloads: bytes to observations in SI units, and back."""
