"""What must be known of each sort of belief: a file for each, and the contract that all keep."""
