"""The guide's code blocks, as the files that they name."""

import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "app-guide.md").read_text()
MARKS = {"kotlin": "//", "swift": "//", "js": "//"}


@functools.cache
def blocks():
    """Return the code of every block by language and file name."""
    files = {language: {} for language in MARKS}
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        first, _, code = body.partition("\n")
        name = re.fullmatch(r"// (\w+\.\w+)", first)
        assert language in files, f"a block in {language}, which no test uses"
        assert name, f"a block that does not name its file: {first}"
        assert name[1] not in files[language]
        files[language][name[1]] = code
    return files


def write(language, folder):
    """Write a language's files into a folder; return their paths."""
    for name, code in blocks()[language].items():
        (folder / name).write_text(code)
    return sorted(folder / name for name in blocks()[language])
