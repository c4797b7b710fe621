"""Attacks on a service of its own: what others see meanwhile, and what it costs.

python -m tests.end_to_end.hostile            # all of them, as a table
python -m tests.end_to_end.hostile --only idle half-open

An attack is a module here with one function `attack(target: Target) -> Seen` and a sentence as its
docstring; a line in `registry.ATTACKS` adds it to the table. It is bounded by itself, in bytes,
connections and seconds (loopback only), and does not look at settings: it measures what somebody
else sees (`target.watched()` asks beside it), memory, descriptors and answers. `seen.faults` are
sentences about what should not be; none means that the service held. Whatever the attack does, the
runner kills the service above `target.MEMORY` and says so.
"""
