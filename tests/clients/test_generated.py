"""The clients' data classes are those of the contract, and each language's own tools take them."""

from clients import generate


def test_the_files_are_those_of_the_contract():
    for path, text in generate.files().items():
        assert path.read_text() == text, f"{path.name}: run `python -m clients.generate`"
