"""Rules on their way to a machine: read, checked, compiled, put in force."""
