"""What is believed: the fold of the journal, and its values. It knows no disk and no network."""
