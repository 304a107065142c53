"""The functions' own code: handlers (one use case a trigger), ports, adapters, and what wires them."""
