"""Rules meet commands: pure, total, three-valued."""
