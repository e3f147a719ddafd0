"""Wiring: settings in, conversations out."""
