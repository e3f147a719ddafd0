"""What a command is: a strict reader that reads as bash does or says that it did not."""
