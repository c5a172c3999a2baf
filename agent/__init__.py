"""Keeps the emergency address of a SIP device bound to the place where it is plugged in."""

__version__ = "0.1.0"
