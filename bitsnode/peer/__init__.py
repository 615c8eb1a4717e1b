"""Connections between nodes: a pool that asks and a server that answers, over `bitsnode.wire`."""
