"""The command line: thin, and fast to start."""
