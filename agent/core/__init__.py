"""The loop: ask the model, hand its calls to the dispatcher, repeat."""
