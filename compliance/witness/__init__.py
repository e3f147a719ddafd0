"""A witness remembers size and root of each log, and cosigns only consistent growth."""
