"""`agent.toml` and what is set on the page: read, checked, explained, kept, and the one configuration in force."""
