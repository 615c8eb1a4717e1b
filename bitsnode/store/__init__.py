"""Shares kept for others: files on disk, an index of them, leases, and who may use how much."""
