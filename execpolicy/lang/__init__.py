"""The rule language: text to syntax to typed rules, and back to text."""
