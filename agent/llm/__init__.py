"""Models: the contract, the Responses API behind it, retries around it, a scripted stand-in."""
