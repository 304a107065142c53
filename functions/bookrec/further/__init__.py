"""Lists besides the ten: what follows them, by genre, and those that all readers share."""
