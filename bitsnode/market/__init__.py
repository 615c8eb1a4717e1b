"""Offers, key shares and receipts: who may have the key of a content that is sold."""
