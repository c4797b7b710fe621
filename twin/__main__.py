"""`python -m twin` is the command `twin`."""

from twin.commands.cli import main

main()
