"""The contracts on chain: Solidity sources, compiled artifacts, and what loads them."""
