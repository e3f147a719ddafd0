"""Answers to questions about a record, one question a file."""
