"""The guide's code for browsers, in Chromium, with LiteRT.js and an exported model."""

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser import launched
from tests.clients import guide
from tests.clients.conftest import NODE_MODULES
from tests.clients.shelves import as_shelf, catalogue_json, functions_list, shelves
from trainer.serving.tflite import FIXED_SIZE

IMPORTS = {
    "@litertjs/core": "/node_modules/@litertjs/core/dist/index.js",
    "@litertjs/wasm-utils": "/node_modules/@litertjs/wasm-utils/dist/index.js",
}
OPEN = """async () => {
    const files = {};
    for (const name of ['recommend.tflite', 'items.json']) {
        files[name] = new Uint8Array(await (await fetch(`/model/${name}`)).arrayBuffer());
    }
    const { inBrowser } = await import('/inBrowser.js');
    const { topTen } = await import('/topTen.js');
    const wasm = '/node_modules/@litertjs/core/wasm/';
    window.device = await inBrowser(files, wasm);
    window.another = await inBrowser(files, wasm);  // as for the next model
    window.topTen = topTen;
}"""
CANDIDATES = "(shelf) => device.candidates(new Map(shelf))"
TOP_TEN = """async ([shelf, catalogue]) => {
    const books = new Map(catalogue.map((book) => [book.isbn, book]));
    const candidates = await another.candidates(new Map(shelf));
    const list = topTen(shelf.map(([isbn]) => isbn), candidates, another.popular, (isbn) => books.get(isbn));
    return list.map(({ isbn }) => isbn);
}"""
PREDICTED = "([shelf, of]) => device.predictedRatings(new Map(shelf), of)"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def page(published, contract_js, tmp_path_factory):
    """A page that has loaded the model."""
    folder = tmp_path_factory.mktemp("page")
    guide.write("js", folder)
    (folder / "contract.js").write_text(contract_js.read_text())
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "model").symlink_to(published.files)
    maps = f'<script type="importmap">{json.dumps({"imports": IMPORTS})}</script>'
    (folder / "index.html").write_text(f"<!doctype html><title>A page</title>{maps}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with launched() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.evaluate(OPEN)
        yield page
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_browser_gives_the_functions_candidates_and_lists(page, published):
    catalogue = catalogue_json(published)
    for stars in shelves(published):
        candidates = page.evaluate(CANDIDATES, list(stars.items()))
        expected = published.model.candidates(as_shelf(stars))
        assert [(c["isbn"], c["because"]) for c in candidates] == [(c.isbn, list(c.because)) for c in expected]
        assert [c["score"] for c in candidates] == pytest.approx([c.score for c in expected], abs=1e-4)
        assert [c["predictedRating"] for c in candidates] == pytest.approx(
            [c.predicted_rating for c in expected], abs=1e-4
        )
        assert page.evaluate(TOP_TEN, [list(stars.items()), catalogue]) == functions_list(published, stars)
        asked = [published.model.items.isbns[1], "unknown"]
        rated = page.evaluate(PREDICTED, [list(stars.items()), asked])
        assert rated == pytest.approx(published.model.predicted_ratings(as_shelf(stars), asked), abs=1e-4)


def test_a_browser_finds_the_functions_similar_books(page, published):
    isbns = published.model.items.isbns
    for isbn in (isbns[0], isbns[7], isbns[-1], "unknown"):
        assert page.evaluate("(isbn) => device.similarTo(isbn)", isbn) == published.model.similar_to(isbn)


def test_the_last_books_of_a_shelf_that_is_too_long_count(page, published):
    isbns = published.model.items.isbns
    last = [*(f"unknown-{n}" for n in range(FIXED_SIZE - 6)), *isbns[20:26]]
    whole = [[isbn, 5.0] for isbn in [*isbns[:20], *last]]
    expected = published.model.candidates(as_shelf(dict.fromkeys(last, 5.0)))
    candidates = page.evaluate(CANDIDATES, whole)
    assert [(c["isbn"], c["because"]) for c in candidates[:10]] == [(c.isbn, list(c.because)) for c in expected[:10]]


def test_too_many_books_are_rejected(page):
    with pytest.raises(Exception, match="targets: 257 values, and at most 256 go in"):
        page.evaluate(PREDICTED, [[], [str(n) for n in range(FIXED_SIZE + 1)]])
