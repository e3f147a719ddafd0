"""What a model may call, and the one way there."""
