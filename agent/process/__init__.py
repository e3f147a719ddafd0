"""Children: their environment, their output, their end."""
