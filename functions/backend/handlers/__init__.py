"""One use case a trigger. A handler reads what it needs, calls the domain, and writes the result."""
