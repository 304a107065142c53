"""What the writers share."""

from clients.contract import Field, Node

HEADER = "Made by `python -m clients.generate` from clients/contract.py; changes belong there."


def known_name(node: Node, field: Field) -> str:
    """Return the name of the type of a text that has known values."""
    return f"{node.name}{field.name.capitalize()}"
