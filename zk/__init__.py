"""Stealth addresses; later fields, trees and proofs: pure, no I/O."""
