"""Calls, emergency first: how they are dialed, dressed, carried over and ended (EMERGENCY.md)."""
