"""Kotlin: a data class for each node that Firebase's ``getValue`` can fill, with defaults for all fields."""

from __future__ import annotations

from clients.contract import ByName, Field, Kind, Many, Node, Number, Text, Whole
from clients.writers.words import HEADER, known_texts


def write(nodes: tuple[Node, ...], constants: dict[str, int]) -> str:
    """Return the file's text."""
    parts = [
        f"// {HEADER}\n",
        "package bookrec.contract\n",
        "import com.google.firebase.database.IgnoreExtraProperties\n",
    ]
    parts += [f"const val {name} = {value}\n" for name, value in constants.items()]
    for node in nodes:
        parts += [*_known_values(node), _data_class(node)]
    return "\n".join(parts)


def _known_values(node: Node) -> list[str]:
    declarations = []
    for name, doc, known in known_texts(node):
        values = "\n".join(f'    const val {value.upper()} = "{value}"' for value in known)
        declarations.append(f"/** {doc} */\nobject {name} {{\n{values}\n}}\n")
    return declarations


def _data_class(node: Node) -> str:
    lines = [f"/** {node.doc} In `{node.place}`. */", "@IgnoreExtraProperties", f"data class {node.name}("]
    for field in node.fields:
        lines += [f"    /** {field.doc} */", f"    val {field.name}: {_declared(field)},"]
    return "\n".join([*lines, ")\n"])


def _declared(field: Field) -> str:
    kind = _type(field.kind)
    if isinstance(field.kind, Many):
        return f"{kind} = emptyList()"
    if isinstance(field.kind, ByName):
        return f"{kind} = emptyMap()"
    if field.optional:
        return f"{kind}? = null"
    return f"{kind} = {_default(field.kind)}"


def _default(kind: Kind) -> str:
    match kind:
        case Text():
            return '""'
        case Number():
            return "0.0"
        case Whole():
            return "0L"
        case Node():
            return f"{kind.name}()"
        case Many() | ByName():
            raise TypeError("lists and maps have separate defaults")


def _type(kind: Kind) -> str:
    match kind:
        case Text():
            return "String"
        case Number():
            return "Double"
        case Whole():
            return "Long"
        case Many():
            return f"List<{_type(kind.of)}>"
        case ByName():
            return f"Map<String, {_type(kind.of)}>"
        case Node():
            return kind.name
