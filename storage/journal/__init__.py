"""The journal: lines in the order of arrival, the marks of their streams, and the catalogue."""
