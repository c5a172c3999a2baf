"""The pages, one module for each part of them, and what only they use."""
