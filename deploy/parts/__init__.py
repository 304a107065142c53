"""The plan's parts, each a function from a target to steps."""
