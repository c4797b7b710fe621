"""A plant that does not exist: parts, instruments and their faults."""
