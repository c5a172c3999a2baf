"""What the light is, was and means: the sentences that people read, and how long 911 could have been wrong."""
