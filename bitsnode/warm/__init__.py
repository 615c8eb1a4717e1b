"""Records found in under a second: links kept open, and an index of a part of the keyspace."""
