"""Similar books: after every run, the nodes are what the live model and the catalogue say."""

import json

import numpy as np
import pytest

from backend.handlers import similar_books
from bookrec import paths
from bookrec.catalogue import Book, Catalogue
from bookrec.errors import StoreUnavailable
from bookrec.life_cycle.manifest import parse_pointer
from bookrec.ranking import LIST_SIZE
from bookrec.ranking import similar_books as chosen
from bookrec.recommender import Items
from tests.fakes import SETTINGS, World, load_fake

STATE = f"{paths.STATUS}/similar"


@pytest.fixture
def world():
    world = World(books=26)
    world.publish("v1", 1)
    return world


def run_tasks(world, order=lambda tasks: tasks, backend=None):
    """Do the queued pages, each once in the world's life; return how many there were."""
    tasks = [(task_id, page) for task_id, (name, page, _) in world.tasks.queued.items() if name == "similar"]
    new = [(task_id, page) for task_id, page in tasks if task_id not in world.__dict__.setdefault("done", set())]
    for task_id, page in order(new):
        do(world, page, backend)
        world.done.add(task_id)
    return len(new)


def do(world, page, backend=None):
    page = json.loads(json.dumps(page))
    (backend or world.backend).similar_books.page(
        *(page[n] for n in ("publication", "attempt", "page", "after", "last"))
    )


def pages(world):
    return [page for name, page, _ in world.tasks.queued.values() if name == "similar"]


def expected(world):
    """Return what the node should be, from the database alone."""
    pointer = parse_pointer(world.database.get(paths.MODEL))
    objects = [world.store.objects[paths.model_object(pointer.version, n)] for n in ("recommend.tflite", "items.json")]
    model, catalogue = load_fake(pointer.version, *objects), world.backend.similar_books._catalogue.fresh()
    similar = {isbn: chosen(isbn, model.similar_to(isbn), catalogue) for isbn in catalogue}
    return {paths.book_key(isbn): list(books) for isbn, books in similar.items() if books} or None


def assert_right(world):
    assert world.database.get(paths.SIMILAR) == expected(world)


def test_a_publication_writes_ten_similar_books_for_each(world):
    assert world.backend.similar_books()
    run_tasks(world)
    assert_right(world)
    node = world.database.get(f"{paths.SIMILAR}/isbn003")
    assert node == [f"isbn{number:03}" for number in range(4, 14)]


def test_each_book_is_on_one_page_however_many_there_are(world, monkeypatch):
    monkeypatch.setattr(world.backend.similar_books, "_page_size", 7)
    world.backend.similar_books()
    assert [(page["after"], page["last"]) for page in pages(world)] == [
        ("", "isbn006"), ("isbn006", "isbn013"), ("isbn013", "isbn020"), ("isbn020", None),
    ]  # fmt: skip
    run_tasks(world, order=lambda tasks: tasks[::-1])
    assert_right(world)


def test_nothing_is_queued_or_written_twice(world, monkeypatch):
    world.backend.similar_books()
    queued = pages(world)
    assert world.backend.similar_books() is False
    run_tasks(world)
    writes = []
    update = world.database.update
    monkeypatch.setattr(world.database, "update", lambda values: (writes.append(values), update(values)))
    assert world.backend.similar_books() is False
    for page in queued:
        do(world, page)
    assert not writes


def test_another_model_writes_only_what_differs(world, monkeypatch):
    world.backend.similar_books()
    run_tasks(world)
    written = []
    update = world.database.update
    monkeypatch.setattr(world.database, "update", lambda values: (written.extend(values), update(values)))
    world.publish("v4", 2)  # a model with the same similar books
    assert world.backend.similar_books()
    run_tasks(world)
    assert not [path for path in written if path.startswith(paths.SIMILAR)]
    world.publish("v2", 3)
    world.backend.similar_books()
    run_tasks(world)
    assert [path for path in written if path.startswith(paths.SIMILAR)]
    assert_right(world)


def test_a_rollback_brings_the_earlier_ones_back(world):
    for version, fence in (("v1", 1), ("v2", 2), ("v1", 3)):
        world.publish(version, fence)
        world.backend.similar_books()
        run_tasks(world)
        assert_right(world)


def test_an_update_is_bounded(world, monkeypatch):
    monkeypatch.setattr(similar_books, "BOOKS_A_WRITE", 4)
    sizes, update = [], world.database.update
    monkeypatch.setattr(
        world.database,
        "update",
        lambda values: (sizes.append(sum(path.startswith(paths.SIMILAR) for path in values)), update(values)),
    )
    world.backend.similar_books()
    run_tasks(world)
    assert max(sizes) == 4
    assert_right(world)


def test_a_task_of_an_older_publication_writes_nothing(world):
    world.backend.similar_books()
    old = pages(world)
    world.publish("v2", 2)
    for page in old:
        do(world, page)
    assert world.database.get(paths.SIMILAR) is None
    world.backend.similar_books()
    for page in old:
        do(world, page)
    assert world.database.get(paths.SIMILAR) is None
    run_tasks(world)
    assert_right(world)


def test_a_task_that_is_overtaken_before_its_write_is_found_out(world, monkeypatch):
    world.backend.similar_books()
    (page,) = pages(world)
    other, update = world.restarted(), world.database.update

    def overtaken(values):
        if any(path.startswith(paths.SIMILAR) for path in values):
            monkeypatch.setattr(world.database, "update", update)
            world.publish("v2", 2)
            other.similar_books()
            run_tasks(world, order=lambda tasks: tasks[1:], backend=other)
            assert_right(world)
        update(values)

    monkeypatch.setattr(world.database, "update", overtaken)
    do(world, page)
    assert world.database.get(paths.SIMILAR) != expected(world)
    assert other.similar_books()
    run_tasks(world, order=lambda tasks: tasks[1:], backend=other)
    assert_right(world)
    assert other.similar_books() is False


def test_a_changed_catalogue_is_noticed_after_a_rest(world):
    world.backend.similar_books()
    run_tasks(world)
    world.database.update({f"{paths.ARCHIVE}/a005": None, f"{paths.ARCHIVE}/a007/title": "Title 6",
                           f"{paths.ARCHIVE}/a007/author": "Author 6"})  # fmt: skip
    assert world.backend.similar_books() is False
    world.clock.sleep(SETTINGS.sweep_rest_s)
    assert world.backend.similar_books()
    run_tasks(world)
    assert_right(world)
    similar = world.database.get(paths.SIMILAR)
    assert "isbn005" not in similar
    assert not [books for books in similar.values() if "isbn005" in books]
    assert not [books for books in similar.values() if {"isbn006", "isbn007"} <= set(books)]
    assert "isbn007" not in similar["isbn006"]


def test_an_operator_does_not_wait_for_the_rest(world):
    world.backend.similar_books()
    run_tasks(world)
    world.database.update({f"{paths.ARCHIVE}/a005": None})
    world.clock.sleep(1)
    assert world.backend.similar_books(rests=False)
    run_tasks(world)
    assert_right(world)


def test_another_cover_begins_no_run(world):
    world.backend.similar_books()
    run_tasks(world)
    world.database.update({f"{paths.ARCHIVE}/a005/image": "https://covers.example/5"})
    world.clock.sleep(SETTINGS.sweep_rest_s)
    assert world.backend.similar_books() is False


def test_an_experiment_begins_no_run(world):
    world.backend.similar_books()
    run_tasks(world)
    world.database.update({f"{paths.MODEL}/switches": 1})
    assert world.backend.similar_books() is False


def test_the_reconciler_begins_the_run_that_a_lost_event_did_not(world):
    world.backend.reconcile()
    run_tasks(world)
    assert_right(world)


def test_what_is_in_the_node_and_not_in_the_catalogue_is_removed(world):
    world.database.update({f"{paths.SIMILAR}/a-book": ["isbn001"], f"{paths.SIMILAR}/7": ["isbn001"],
                           f"{paths.SIMILAR}/zzz": ["isbn001"]})  # fmt: skip
    world.backend.similar_books()
    run_tasks(world)
    assert_right(world)


def test_isbns_that_are_numbers_or_have_dots_have_their_nodes(monkeypatch):
    world = World(books=0)
    for number, isbn in enumerate(["0439023483", "9780439023481", "12", "a.b", "a b:c", "zz"]):
        world.isbns.append(isbn)
        node = {"isbn": isbn, "title": f"Title {number}", "author": "Author"}
        world.database.update({f"{paths.ARCHIVE}/a{number}": node})
    world.publish("v1", 1, known=sorted(world.isbns))
    monkeypatch.setattr(world.backend.similar_books, "_page_size", 2)
    monkeypatch.setattr(similar_books, "READ", 2)
    for _ in range(2):
        world.backend.similar_books()
        run_tasks(world)
        assert_right(world)
        assert set(world.database.get(paths.SIMILAR)) == {paths.book_key(isbn) for isbn in world.isbns}
        world.database.update({f"{paths.SIMILAR}/12": None, f"{paths.SIMILAR}/13": ["zz"]})
        world.publish("v1", 2, known=sorted(world.isbns))


def test_an_interrupted_run_goes_on_where_it_was(world, monkeypatch):
    handler = world.backend.similar_books
    monkeypatch.setattr(handler, "_page_size", 3)
    monkeypatch.setattr(similar_books, "TASKS_AT_ONCE", 2)
    assert handler(0)
    assert len(pages(world)) == 2
    world.database.update({f"{paths.ARCHIVE}/a001": None})  # the pages begin elsewhere now
    while world.database.get(f"{STATE}/queued") is None:
        assert handler(0)
    starts = [page["after"] for page in pages(world)]
    assert starts == sorted(set(starts))
    run_tasks(world)
    world.clock.sleep(SETTINGS.sweep_rest_s)
    assert handler(1_000_000)  # the catalogue has changed since the run began
    run_tasks(world)
    assert_right(world)


def test_a_page_that_is_never_done_is_queued_again_after_a_while(world):
    world.backend.similar_books()
    world.clock.sleep(similar_books.PATIENCE_MS / 1000 - 1)
    assert world.backend.similar_books() is False
    world.clock.sleep(1)
    assert world.backend.similar_books()
    assert [page["attempt"] for page in pages(world)] == [0, 1]
    run_tasks(world)
    assert_right(world)


def test_a_run_that_begins_late_does_not_replace_that_of_the_next_model(world, monkeypatch):
    def overtaken(node):
        monkeypatch.setattr(similar_books, "usable_pointer", usable_pointer)
        world.publish("v2", 2)
        other = world.restarted()
        assert other.similar_books()
        run_tasks(world, backend=other)
        return usable_pointer(node)

    usable_pointer = similar_books.usable_pointer
    monkeypatch.setattr(similar_books, "usable_pointer", overtaken)
    assert world.backend.similar_books() is False
    assert world.database.get(f"{STATE}/publication") == "v2@2"
    assert world.restarted().similar_books() is False
    assert_right(world)


def test_a_task_waits_for_the_store_and_is_tried_again(world):
    world.backend.similar_books()
    other, (page,) = world.restarted(), pages(world)
    world.store.is_away = True
    with pytest.raises(StoreUnavailable):
        do(world, page, other)


def test_a_model_of_an_earlier_release_finds_none_and_nothing_is_written():
    world = World()
    world.publish("v1", 1, model=b"earlier")
    assert world.backend.similar_books()
    assert run_tasks(world) == 1
    assert world.database.get(paths.SIMILAR) is None


def test_a_rollback_to_an_earlier_release_keeps_what_is_there_without_books_that_have_left_the_catalogue(world):
    world.backend.similar_books()
    run_tasks(world)
    before = world.database.get(paths.SIMILAR)
    world.database.update({f"{paths.ARCHIVE}/a005": None, f"{paths.SIMILAR}/isbn009": {"a": ["isbn001"], "b": 7}})
    world.publish("v0", 2, known=world.isbns[:20], model=b"earlier")
    world.backend.similar_books()
    run_tasks(world)
    gone = {"isbn005", "isbn009"}  # has left, and is damaged
    kept = {key: [isbn for isbn in before[key] if isbn != "isbn005"] for key in before.keys() - gone}
    assert world.database.get(paths.SIMILAR) == kept
    world.database.update({f"{paths.ARCHIVE}/a007": None})
    world.clock.sleep(SETTINGS.sweep_rest_s)
    world.backend.reconcile()
    run_tasks(world)
    assert "isbn007" not in str(world.database.get(paths.SIMILAR))
    world.publish("v1", 3)
    world.backend.similar_books()
    run_tasks(world)
    assert_right(world)


def test_a_book_that_the_model_does_not_know_has_no_similar_ones():
    assert load_fake("v1", b"m", items("a", "b")).similar_to("c") == []


def test_a_model_that_answers_with_books_that_it_does_not_know_writes_nothing(world):
    world.backend.similar_books()
    live = world.backend.similar_books._model.load()
    beyond = {"indices": np.array([len(world.isbns)], np.int32)}
    object.__setattr__(live.model, "similar", lambda item: beyond)
    run_tasks(world)
    assert world.database.get(paths.SIMILAR) is None


def items(*isbns):
    return json.dumps(Items(isbns, ()).to_json()).encode()


def catalogue_of(*books):
    return Catalogue([Book(isbn, title, author, "") for isbn, title, author in books])


def test_similar_books_are_in_the_catalogue_and_no_editions_of_each_other():
    catalogue = catalogue_of(
        ("a", "Dune", "Frank Herbert"), ("a2", "Dune (Dune, #1)", "Frank Herbert"), ("b", "Emma", "Jane Austen"),
        ("b2", "Emma", "Jane Austen"), ("c", "", ""), ("d", "", ""),
    )  # fmt: skip
    assert chosen("a", ["a", "a2", "gone", "b2", "b", "c", "d"], catalogue) == ("b2", "c", "d")


def test_there_are_at_most_ten_similar_books():
    catalogue = catalogue_of(*((f"i{number:02}", f"Title {number}", "A") for number in range(20)))
    assert len(chosen("i00", sorted(catalogue), catalogue)) == LIST_SIZE
