"""What happens on a machine that runs: push, run, read, follow."""
