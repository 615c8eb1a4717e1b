"""Kademlia over onion services: who is near a point, and which records live there."""
