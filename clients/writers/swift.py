"""Swift: a ``Codable`` structure for each node; missing lists and maps are read as empty."""

from __future__ import annotations

from clients.contract import ByName, Field, Kind, Many, Node, Number, Text, Whole
from clients.writers.words import HEADER, known_texts


def write(nodes: tuple[Node, ...], constants: dict[str, int]) -> str:
    """Return the file's text."""
    parts = [f"// {HEADER}\n"]
    parts += [f"let {_camel(name)} = {value}\n" for name, value in constants.items()]
    for node in nodes:
        parts += [*_known_values(node), _structure(node)]
        if any(_is_filled(field) for field in node.fields):
            parts.append(_reading(node))
    return "\n".join(parts)


def _known_values(node: Node) -> list[str]:
    declarations = []
    for name, doc, known in known_texts(node):
        values = "\n".join(f'  static let {value} = "{value}"' for value in known)
        declarations.append(f"/// {doc}\nenum {name} {{\n{values}\n}}\n")
    return declarations


def _structure(node: Node) -> str:
    lines = [f"/// {node.doc} In `{node.place}`.", f"struct {node.name}: Codable, Equatable, Sendable {{"]
    for field in node.fields:
        mark = "?" if field.optional and not _is_filled(field) else ""
        empty = {Many: " = []", ByName: " = [:]"}.get(type(field.kind), "") if _is_filled(field) else ""
        lines += [f"  /// {field.doc}", f"  var {field.name}: {_type(field.kind)}{mark}{empty}"]
    return "\n".join([*lines, "}\n"])


def _reading(node: Node) -> str:
    lines = [
        f"extension {node.name} {{",
        "  init(from decoder: any Decoder) throws {",
        "    let fields = try decoder.container(keyedBy: CodingKeys.self)",
    ]
    for field in node.fields:
        kind, name = _type(field.kind), field.name
        if _is_filled(field):
            empty = "[]" if isinstance(field.kind, Many) else "[:]"
            value = f"try fields.decodeIfPresent({kind}.self, forKey: .{name}) ?? {empty}"
        elif field.optional:
            value = f"try fields.decodeIfPresent({kind}.self, forKey: .{name})"
        else:
            value = f"try fields.decode({kind}.self, forKey: .{name})"
        lines.append(f"    {name} = {value}")
    return "\n".join([*lines, "  }", "}\n"])


def _is_filled(field: Field) -> bool:
    return field.optional and isinstance(field.kind, Many | ByName)


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def _type(kind: Kind) -> str:
    match kind:
        case Text():
            return "String"
        case Number():
            return "Double"
        case Whole():
            return "Int"
        case Many():
            return f"[{_type(kind.of)}]"
        case ByName():
            return f"[String: {_type(kind.of)}]"
        case Node():
            return kind.name
