"""Training data: entries and books are read, cleaned, and turned into arrays and features.

``ingest/`` reads a database, a backup or a folder; ``exchange/`` writes and imports whole databases.
"""
