"""Reads the database for training, from a thousand entries to a hundred million, in bounded memory."""
