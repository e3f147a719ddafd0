"""Words that frontends and threads share; no logic."""
