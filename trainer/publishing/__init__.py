"""Makes files a live version: the bucket, the versions, and the status for operators."""
