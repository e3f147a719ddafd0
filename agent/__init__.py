"""A coding agent for the terminal whose every action passes a policy engine."""

__version__ = "0.1.0"
