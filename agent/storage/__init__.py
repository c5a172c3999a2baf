"""What survives a power cut: the database and the records in it (S5, S8)."""
