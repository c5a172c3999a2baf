"""The Unix socket of PROTOCOL.md: both ends of it."""
