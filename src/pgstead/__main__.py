"""`python -m pgstead`: the command line."""

from pgstead.cli import main

main()
