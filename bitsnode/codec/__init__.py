"""What content becomes before it is stored, and what proves it: pure functions, no I/O."""
