"""The network of confined commands: our own proxy, which judges every connection before it is made."""
