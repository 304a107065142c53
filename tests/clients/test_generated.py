"""The clients' data classes match the contract."""

from clients import generate


def test_the_files_match_the_contract():
    for path, text in generate.files().items():
        assert path.read_text() == text, f"{path.name}: run `python -m clients.generate`"
