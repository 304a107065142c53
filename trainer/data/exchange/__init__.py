"""Whole databases as files: importing ratings, exporting, copying a live database."""
