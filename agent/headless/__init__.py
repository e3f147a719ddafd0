"""Exec mode: one task in, text or events out, nobody to ask."""
