"""All readers' lists: scored in blocks, written as shards."""
