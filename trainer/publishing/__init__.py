"""From files to a live version: the lease, the bucket, the pointer, and the status that an operator sees."""
