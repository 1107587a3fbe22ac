"""What a user does with a stack: a file per operation."""
