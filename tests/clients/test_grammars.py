"""Kotlin and Swift parsed by their grammars: the data classes, and every block of the guide."""

import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from tree_sitter import Language, Parser

from clients import contract
from tests.clients import guide

LANGUAGES = {"kotlin": tree_sitter_kotlin, "swift": tree_sitter_swift}
CLIENTS = guide.ROOT / "clients"
SOURCES = {
    ("kotlin", "Contract.kt"): (CLIENTS / "kotlin" / "Contract.kt").read_text(),
    ("swift", "Contract.swift"): (CLIENTS / "swift" / "Contract.swift").read_text(),
    **{(language, name): code for language in LANGUAGES for name, code in guide.blocks()[language].items()},
}


def tree(language, code):
    return Parser(Language(LANGUAGES[language].language())).parse(code.encode()).root_node


def faults(node):
    """Return where the grammar found errors."""
    own = [f"line {node.start_point.row + 1}: {node.type}"] if node.is_error or node.is_missing else []
    return own + [fault for child in node.children for fault in faults(child)]


def named(node, kind):
    """Return all nodes of a kind below one."""
    return ([node] if node.type == kind else []) + [match for child in node.children for match in named(child, kind)]


@pytest.mark.parametrize(("language", "name"), SOURCES, ids=str)
def test_the_code_parses_without_errors(language, name):
    assert faults(tree(language, SOURCES[language, name])) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_would_be_found(language):
    assert faults(tree(language, "fun func f( {"))


def test_each_data_class_has_the_contracts_fields():
    classes = {}
    for declared in named(tree("kotlin", SOURCES["kotlin", "Contract.kt"]), "class_declaration"):
        names = [named(parameter, "identifier")[0].text.decode() for parameter in named(declared, "class_parameter")]
        classes[declared.child_by_field_name("name").text.decode()] = tuple(names)
    structures = {}
    for declared in named(tree("swift", SOURCES["swift", "Contract.swift"]), "class_declaration"):
        if declared.children[0].type == "struct":
            names = [
                named(field, "simple_identifier")[0].text.decode() for field in named(declared, "property_declaration")
            ]
            structures[declared.child_by_field_name("name").text.decode()] = tuple(names)
    expected = {node.name: node.names for node in contract.NODES}
    assert structures == expected
    assert classes == expected


def test_every_language_has_its_blocks():
    names = {language: {name.split(".")[0].lower() for name in files} for language, files in guide.blocks().items()}
    assert names["kotlin"] - {"byuser"} == names["swift"]
    assert len(names["js"] - {"inbrowser"}) == len(names["swift"])
