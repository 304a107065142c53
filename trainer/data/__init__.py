"""What is trained on: entries and books, where they are read from, cleaned, and turned into arrays and features.

``ingest/`` reads a database, a backup or a folder; ``exchange/`` writes and imports whole databases.
"""
