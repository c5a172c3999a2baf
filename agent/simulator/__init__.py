"""The DialStack platform on one machine: REST, signalling, and Kamailio as the registrar (platform.md)."""
