"""The journal: lines in the order of their arrival, the marks of their streams, and the catalogue."""
