"""TypeScript: an interface for each node, and a function that parses it from the database or a file."""

from __future__ import annotations

from clients.contract import ByName, Field, Kind, Many, Node, Number, Text, Whole
from clients.writers.words import HEADER, known_name, known_texts

_PRELUDE = """\
/*
 * Values that are missing or break the contract are `undefined`; unknown fields are ignored. Bad elements of maps and
 * of optional lists are left out; a required list is valid only if all its elements are.
 */

type Parser<T> = (value: unknown) => T | undefined;

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

const text =
  (pattern?: RegExp): Parser<string> =>
  (value) =>
    typeof value === 'string' && (pattern === undefined || pattern.test(value)) ? value : undefined;

const number =
  (fits: (value: number) => boolean): Parser<number> =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) && fits(value) ? value : undefined;

const many =
  <T>(parse: Parser<T>, most = Infinity): Parser<T[]> =>
  (value) =>
    Array.isArray(value)
      ? value
          .map((element) => parse(element))
          .filter((element): element is T & {} => element !== undefined)
          .slice(0, most)
      : undefined;

const all =
  <T>(parse: Parser<T>): Parser<T[]> =>
  (value) => {
    const elements = many(parse)(value);
    return Array.isArray(value) && elements?.length === value.length ? elements : undefined;
  };

const byName =
  <T>(names: RegExp, parse: Parser<T>): Parser<Record<string, T>> =>
  (value) => {
    const fields = fieldsOf(value);
    return (
      fields &&
      Object.fromEntries(
        Object.entries(fields).flatMap(([name, element]) => {
          const parsed = names.test(name) ? parse(element) : undefined;
          return parsed === undefined ? [] : [[name, parsed] as const];
        }),
      )
    );
  };
"""


def write(nodes: tuple[Node, ...], constants: dict[str, int]) -> str:
    """Return the file's text."""
    parts = [f"// {HEADER}\n"]
    parts += [f"export const {name} = {value};\n" for name, value in constants.items()]
    parts.append(_PRELUDE)
    for node in nodes:
        parts += [*_known_types(node), _interface(node), _parser(node)]
    return "\n".join(parts)


def _known_types(node: Node) -> list[str]:
    declarations = []
    for name, doc, known in known_texts(node):
        values = " | ".join(f"'{value}'" for value in known)
        declarations.append(f"/** {doc} */\nexport type {name} = {values} | (string & {{}});\n")
    return declarations


def _interface(node: Node) -> str:
    lines = [f"/** {node.doc} In `{node.place}`. */", f"export interface {node.name} {{"]
    for field in node.fields:
        mark = "?" if _may_be_undefined(field) else ""
        lines += [f"  /** {field.doc} */", f"  {field.name}{mark}: {_type(field.kind, node, field)};"]
    return "\n".join([*lines, "}\n"])


def _parser(node: Node) -> str:
    lines = [
        f"/** Parse a {node.name} from an untrusted value. */",
        f"export const parse{node.name}: Parser<{node.name}> = (value) => {{",
        "  const fields = fieldsOf(value);",
        "  if (fields === undefined) return undefined;",
    ]
    for field in node.fields:
        empty = "" if not field.optional else {Many: " ?? []", ByName: " ?? {}"}.get(type(field.kind), "")
        parser = _call(field.kind)
        if isinstance(field.kind, Many) and not field.optional:
            parser = f"all({_call(field.kind.of)})"
        lines.append(f"  const {field.name} = {parser}(fields['{field.name}']){empty};")
    if node.required:
        missing = [f"{name} === undefined" for name in node.required]
        one_line = f"  if ({' || '.join(missing)}) return undefined;"
        lines.append(
            one_line
            if len(one_line) <= 120
            else "  if (\n    " + " ||\n    ".join(missing) + "\n  ) {\n    return undefined;\n  }"
        )
    lines.append("  return {")
    for field in node.fields:
        name = field.name
        lines.append(f"    ...({name} !== undefined && {{ {name} }})," if _may_be_undefined(field) else f"    {name},")
    return "\n".join([*lines, "  };", "};\n"])


def _may_be_undefined(field: Field) -> bool:
    return field.optional and not isinstance(field.kind, Many | ByName)


def _type(kind: Kind, node: Node, field: Field) -> str:
    match kind:
        case Text():
            return known_name(node, field) if kind.known else "string"
        case Number() | Whole():
            return "number"
        case Many():
            return f"{_type(kind.of, node, field)}[]"
        case ByName():
            return f"Record<string, {_type(kind.of, node, field)}>"
        case Node():
            return kind.name


def _call(kind: Kind) -> str:
    match kind:
        case Text(pattern=None):
            return "text()"
        case Text():
            return f"text({_regular(kind.pattern or '')})"
        case Whole():
            limit = "" if kind.highest == Whole().highest else f" && n <= {kind.highest}"
            return f"number((n) => Number.isSafeInteger(n) && n >= 0{limit})"
        case Number():
            return f"number(({'n' if _bounds(kind) != 'true' else ''}) => {_bounds(kind)})"
        case Many():
            return f"many({_call(kind.of)}{'' if kind.most is None else f', {kind.most}'})"
        case ByName():
            return f"byName({_regular(kind.names)}, {_call(kind.of)})"
        case Node():
            return f"parse{kind.name}"


def _bounds(kind: Number) -> str:
    equal = "" if kind.open else "="
    tests = [] if kind.lowest is None else [f"n >{equal} {kind.lowest:g}"]
    tests += [] if kind.highest is None else [f"n <{equal} {kind.highest:g}"]
    tests += [] if kind.step is None else [f"(n / {kind.step}) % 1 === 0"]
    return " && ".join(tests) or "true"


def _regular(pattern: str) -> str:
    return "/^(?:" + pattern.replace("/", r"\/") + ")$/"
