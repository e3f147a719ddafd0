"""Evidence packs: control by control, what the record shows, and what it does not."""
