"""The validator's verdict on every entry and every catalogue node of the corpus."""

import dataclasses
import json

import pytest

from bookrec.catalogue import Catalogue, parse_book, parse_catalogue
from bookrec.entries import FIELDS, UNRATED, parse_entry, parse_rating, user_id_of
from bookrec.errors import BadData
from bookrec.ranking import Candidate, top_list
from bookrec.shelf import build_shelf, sort_out
from tests.corpus import corpus

ENTRIES, BOOKS = corpus.entries(), corpus.books()
BAD = [item for item in ENTRIES if item.is_bad]
REJECTED = [item for item in BOOKS if item.rejected]
KEPT = [item for item in BOOKS if item.kept is not None]
SHOWN = {"title": "title", "author": "author", "image": "image", "publishedYear": "published_year"}
ATTRIBUTES = {**SHOWN, "rating": "average_rating", "isbn": "isbn"}
WINDOW = 8


def test_the_corpus_is_large_and_names_each_item_and_each_key_once():
    assert len(BAD) >= 200
    assert len(BOOKS) >= 50
    assert len({item.what for item in ENTRIES}) == len({item.key for item in ENTRIES}) == len(ENTRIES)
    assert len({item.what for item in BOOKS}) == len(BOOKS)
    assert {item.reason for item in BAD} == {
        "not_an_object",
        *("user_missing", "user_not_text", "user_invalid"),
        *("rating_missing", "rating_not_number", "rating_out_of_range", "rating_not_half"),
        *("isbn_missing", "isbn_not_text", "isbn_invalid"),
        *("book_id_invalid", "unknown_field"),
    }


@pytest.mark.parametrize(
    ("items", "field"), [(ENTRIES, "reason"), (ENTRIES, "rules"), (ENTRIES, "stored"), (BOOKS, "rejected")]
)
def test_the_sample_of_the_corpus_has_every_reason_and_every_answer_of_the_rules(items, field):
    sample = [item for item in items if corpus.is_sampled(item)]
    assert {getattr(item, field) for item in sample} == {getattr(item, field) for item in items}
    assert {corpus.kind_of(item) for item in sample} == {corpus.kind_of(item) for item in items}
    assert len(sample) < len(items)


@pytest.mark.parametrize("name", ["entries.json", "catalogue.json"])
def test_the_corpus_is_strict_json_in_ascii(name):
    def reject(constant):
        raise ValueError(constant)

    text = (corpus.FOLDER / name).read_text(encoding="ascii")
    json.loads(text, parse_constant=reject)


@corpus.each(BAD)
def test_a_bad_entry_has_exactly_its_reason(item):
    with pytest.raises(BadData) as caught:
        parse_entry(item.key, item.value)
    assert caught.value.reason == item.reason


@corpus.each([item for item in ENTRIES if not item.is_bad])
def test_an_entry_that_only_looks_odd_is_accepted_unchanged(item):
    entry = parse_entry(item.key, item.value)
    assert (entry.key, entry.user_id, entry.isbn) == (item.key, item.value["userId"], item.value["isbn"])
    assert entry.rating == item.value["myRate"]


@corpus.each([*BAD, *REJECTED])
def test_a_reason_is_a_readable_sentence_that_repeats_nothing_of_the_value(item):
    parse = parse_book if isinstance(item, corpus.BookItem) else lambda value: parse_entry(item.key, value)
    with pytest.raises(BadData) as caught:
        parse(item.value)
    message = caught.value.message
    assert 10 < len(message) < 200
    assert message.isascii()
    assert message.isprintable()
    assert any(field in message for field in (*FIELDS, "entry", "node"))
    values = [text for text in corpus.texts_of(item.value) if text not in FIELDS]
    windows = {message[start : start + WINDOW] for start in range(len(message) - WINDOW + 1)}
    assert not [window for window in windows if any(window in text for text in values)]


@corpus.each(ENTRIES)
def test_the_claimed_owner_of_every_node_is_returned(item):
    user_id = user_id_of(item.value)
    if item.reason is None:
        assert user_id == item.value["userId"]
    if item.reason in ("not_an_object", "user_missing", "user_not_text", "user_invalid"):
        assert user_id is None


def test_entries_are_judged_together_as_each_alone():
    valid, rejected = sort_out({item.key: item.value for item in ENTRIES})
    assert {key: problem.reason for key, problem in rejected.items()} == {item.key: item.reason for item in BAD}
    assert {entry.key for entry in valid} == {item.key for item in ENTRIES if not item.is_bad}


def test_every_shelf_of_accepted_entries_has_a_digest():
    valid, _ = sort_out({item.key: item.value for item in ENTRIES})
    for user_id in {entry.user_id for entry in valid}:
        shelf = build_shelf(user_id, valid)
        assert len(shelf.digest) == 64
        assert len(top_list(shelf, "v1", [], [], Catalogue([])).list_id) == 20


def test_minus_zero_stars_are_zero_and_give_the_same_shelf():
    shelves = [build_shelf("u", [parse_entry("k", corpus.sound_entry("u", "1", stars))]) for stars in (0, 0.0, -0.0)]
    assert len({shelf.digest for shelf in shelves}) == 1
    assert repr(parse_rating(-0.0)) == repr(UNRATED)


@corpus.each(REJECTED)
def test_a_catalogue_node_is_rejected_only_without_a_usable_isbn(item):
    with pytest.raises(BadData) as caught:
        parse_book(item.value)
    assert caught.value.reason == item.rejected
    assert item.rejected == "not_an_object" or item.rejected.startswith("isbn_")


@corpus.each(KEPT)
def test_any_other_catalogue_node_is_kept_with_bad_fields_emptied_or_cleaned(item):
    expected = {
        ATTRIBUTES[name]: value for name, value in {**corpus.SOUND_BOOK, **item.kept}.items() if name in ATTRIBUTES
    }
    book = dataclasses.asdict(parse_book(item.value))
    assert book == expected
    assert json.dumps(book, allow_nan=False).encode()
    for text in (book["title"], book["author"], book["image"]):
        text.encode()  # a half of a surrogate pair would raise


def test_catalogue_nodes_are_judged_together_as_each_alone():
    distinct = {item.key: item.value for item in BOOKS}
    for number, item in enumerate(KEPT):
        distinct[item.key] = {**item.value, "isbn": f"odd{number:03}"}
    catalogue, rejected = parse_catalogue(distinct)
    assert {key: problem.reason for key, problem in rejected.items()} == {item.key: item.rejected for item in REJECTED}
    assert len(catalogue) == len(KEPT)
    assert catalogue.newest[0] not in rejected
    assert catalogue[catalogue.newest[0]].published_year == 2003


def test_every_kept_book_can_be_on_a_list():
    catalogue, _ = parse_catalogue({item.key: item.value for item in KEPT})
    distinct, _ = parse_catalogue({i.key: {**i.value, "isbn": f"odd{n:03}"} for n, i in enumerate(KEPT)})
    for known in (catalogue, distinct):
        fill = [Candidate(isbn, 0.0, None, "newest") for isbn in known.newest]
        node = top_list(build_shelf("u", []), "v1", [], fill, known).to_node(known, 0)
        assert json.dumps(node, allow_nan=False)
        assert len(node["items"]) == min(10, len(known))


@pytest.mark.parametrize("keys", [("-Na", "-Nb"), ("9", "10"), ("5", "-Na"), ("-3", "2"), ("2", "007")])
@pytest.mark.parametrize("is_turned", [False, True])
def test_of_two_nodes_with_the_same_isbn_the_first_in_the_databases_order_counts(keys, is_turned):
    nodes = {keys[0]: {"isbn": "1", "title": "First"}, keys[1]: {"isbn": "1", "title": "Second"}}
    catalogue, rejected = parse_catalogue(dict(reversed(nodes.items())) if is_turned else nodes)
    assert catalogue["1"].title == "First"
    assert len(catalogue) == 1
    assert not rejected


def test_one_book_in_two_spellings_of_its_isbn_is_on_a_list_once():
    spellings = ["9780143036357", "978-0-14-303635-7", "09780143036357", "9780143036357 ", "urn:isbn:9780143036357"]
    titles = ["The Title", "THE TITLE", "The  Title", "The Title (Series #1)", "\uff34he Title"]
    nodes = {
        str(n): {"isbn": i, "title": t, "author": "A. U. Thor"}
        for n, (i, t) in enumerate(zip(spellings, titles, strict=True))
    }
    catalogue, _ = parse_catalogue(nodes)
    assert len(catalogue) == len(spellings)
    fill = [Candidate(isbn, 0.0, None, "newest") for isbn in catalogue.newest]
    assert len(top_list(build_shelf("u", []), "v1", [], fill, catalogue).items) == 1
    shelf = build_shelf("u", [parse_entry("k", corpus.sound_entry("u", spellings[1]))])
    assert not top_list(shelf, "v1", [], fill, catalogue).items
