"""Who may see and do what: the gate, its guard, PINs, sessions, and the page on the link (S9)."""
