"""A chain of our own: py-evm on one SQLite file, in its own process, spoken to by JSON-RPC.

Nothing here is imported by the other rooms at run time but `process` and `start`: py-evm takes
seconds to import and belongs into the chain's process alone.
"""
