"""The peer protocol without I/O: bytes in, events out. See PROTOCOL.md."""
