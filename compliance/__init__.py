"""Remembers: what was decided, asked, answered and done, sealed so that a change is seen."""
