"""Less power for a child."""
