"""The kinds of ground that machines stand on."""
