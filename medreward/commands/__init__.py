"""The sub-commands of the command line, a module each."""
