"""Lists for all readers at once: scored in blocks, written as shards."""
