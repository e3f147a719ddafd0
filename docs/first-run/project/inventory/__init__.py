"""Prices of an order, in whole cents."""
