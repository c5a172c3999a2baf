"""The command `dialstack-agent`: what may be said, what is asked of the daemon, and what people read."""
