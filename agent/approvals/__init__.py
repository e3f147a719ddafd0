"""What a yes may be kept for, where it is kept, and who may give it instead of a person."""
