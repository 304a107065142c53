"""Whole databases in files: an import of ratings, an export, a copy of a live database."""
