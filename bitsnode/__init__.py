"""bits: a Tor-first privacy node."""

__version__ = "0.1.0.dev0"
