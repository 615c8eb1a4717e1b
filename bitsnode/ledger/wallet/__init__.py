"""The wallet: a seed in an encrypted keystore, what was paid to it, and how to get it out."""
