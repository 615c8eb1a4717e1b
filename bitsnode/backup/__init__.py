"""Backups: what of a home cannot be had again, in one file under the wallet's words."""
