"""Edits: patch text read, checked and applied."""
