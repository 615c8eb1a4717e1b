"""bits: a Tor-first privacy node."""
