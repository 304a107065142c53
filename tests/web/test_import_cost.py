"""What it costs to find 300 books among 10,000: queries compared with reading the catalogue.

pytest tests/web/test_import_cost.py -s
"""

import json
import random
import subprocess

import pytest

from local.stack import ROOT
from tests.database_server import port, server
from tests.web.libraries import GOODREADS, goodreads_row, written
from tests.web.reader_page import keep_figures

__all__ = ["port", "server"]

BOOKS, ROWS = 10_000, 300
PROGRAM = """
import { initializeApp } from 'firebase/app';
import { connectDatabaseEmulator, get, getDatabase, goOffline, ref } from 'firebase/database';
const [web, host, namespace, text, whole] = JSON.parse(process.argv[1]);
const { readLibrary } = await import(`${web}/library.js`);
const { matchRows } = await import(`${web}/library-match.js`);
const app = initializeApp({ projectId: 'demo-bookrec', databaseURL: `https://${namespace}.firebaseio.com` });
const database = getDatabase(app);
connectDatabaseEmulator(database, ...host.split(':'), { mockUserToken: { sub: 'ana' } });
const began = performance.now();
const rows = whole ? [] : readLibrary(text).rows;
if (whole) await get(ref(database, 'archive'));
const { matches, unmatched } = await matchRows({ database }, rows, () => false);
const ms = Math.round(performance.now() - began);
const sockets = process._getActiveHandles().filter(({ bytesRead }) => bytesRead);
const sum = (way) => sockets.reduce((total, socket) => total + socket[way], 0);
const bytes = { sent: sum('bytesWritten'), received: sum('bytesRead') };
console.log(JSON.stringify({ matched: matches.length, unmatched: unmatched.length, ms, ...bytes }));
goOffline(database);
process.exit();
"""


def thirteen(number):
    digits = f"978{number:09d}"
    return digits + str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10)


def catalogue():
    """Return books as the app's catalogue has them: 14 digits, a description of 400 characters, 2,500 authors."""
    chosen = random.Random(1)
    words = [f"{first}{second}" for first in ("Storm", "Stone", "Silver", "Night", "River") for second in range(40)]
    return {
        f"book-{number}": {
            "documentId": f"book-{number}", "isbn": f"0{thirteen(number * 37)}",
            "author": f"Author Number{number % 2_500}",
            "title": f"The {' '.join(chosen.sample(words, 3))} of {chosen.choice(words)}",
            "genre": f"Genre {number % 16}",
            "description": " ".join(chosen.choices(words, k=55)),
            "pages": "321", "publishedYear": "2001", "rating": "3.9",
            "image": f"https://example.com/covers/{number}.jpg",
        }
        for number in range(BOOKS)
    }  # fmt: skip


@pytest.fixture
def cost(server):
    assert server.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes()).ok

    def measured(text, *, whole=False):
        given = [str(ROOT / "web"), server.host, server.namespace, text, whole]
        words = ["node", "--no-warnings", "--input-type=module", "--eval", PROGRAM, json.dumps(given)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return measured


def test_queries_cost_a_small_part_of_reading_the_catalogue(server, cost):
    archive = catalogue()
    server.put("archive", archive)
    books = list(archive.values())[: ROWS * 30 : 30]
    nowhere = {"ISBN": '=""', "ISBN13": '=""'}
    known = [goodreads_row(book) for book in books[:240]]
    titled = [goodreads_row(book, **nowhere) for book in books[240:270]]
    unknown = [goodreads_row({**book, "isbn": f"0{thirteen(number)}", "title": f"{book['title']} II"})
               for number, book in enumerate(books[270:], start=999_000_000)]  # fmt: skip
    asked = cost(written(GOODREADS, [*known, *titled, *unknown]))
    whole = cost("", whole=True)
    print(asked, whole)  # noqa: T201
    keep_figures(import_queries=asked, import_whole_catalogue=whole)
    assert (asked["matched"], asked["unmatched"]) == (270, 30)
    assert 0 < asked["sent"] + asked["received"] < whole["received"] / 5
