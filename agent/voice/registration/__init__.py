"""The registration state machine: pure, owner of every retry."""
