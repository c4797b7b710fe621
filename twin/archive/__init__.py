"""What is written and read back: checkpoints, rows, recovery, rebuilds, backups, verification."""
