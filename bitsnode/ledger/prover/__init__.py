"""Making Semaphore proofs in a process of their own."""
