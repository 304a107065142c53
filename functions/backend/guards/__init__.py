"""What protects the backend from what it cannot trust: slow services, files of the bucket, writes under open rules."""
