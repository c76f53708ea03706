"""`python -m tollhouse` is the command line."""

from tollhouse.cli import main

main()
