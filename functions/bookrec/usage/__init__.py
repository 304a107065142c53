"""What happens in use: conversions of lists, the hit rates computed from them, and the traffic of a day."""
