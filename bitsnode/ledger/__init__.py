"""The chain: what the node knows of it, asks of it and sends to it."""
