"""The control API of a running node, on a unix socket in its home."""
