"""The JSON API under /api/v1, its events and `/metrics` (API.md)."""
