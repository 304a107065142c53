"""Makes files a live version: the lease, the bucket, the pointer, and the status for operators."""
