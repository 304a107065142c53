"""Compares a sample of ready lists with what the model says: a shard that differs is not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import SystemRandom
from typing import Any

from backend.list_writes import make_list
from backend.ports import Database
from bookrec.catalogue import Catalogue
from bookrec.errors import BadModel
from bookrec.list_shards import ReadyList
from bookrec.ranking import Candidate, RecommendationList, allowed
from bookrec.recommender import Recommender
from bookrec.reordering.diversity import Chosen
from bookrec.shelf import Shelf, build_shelf, sort_out

SAMPLE = 3
"""Readers of a shard whose shelves are read. Nobody can tell beforehand which."""

TOLERANCE = 1e-3
"""The trainer's scores differ from those of the exported file by less than this: books this close may change places."""

_draw = SystemRandom().sample


def check_sample(ready: Mapping[str, ReadyList], model: Recommender, catalogue: Catalogue, database: Database) -> None:
    """Raise ``BadModel`` if a list of the sample is not what ``model`` says; a shelf that has changed says nothing."""
    sample = list(_draw(sorted(ready), min(SAMPLE, len(ready))))
    if not sample:
        return
    entries, _ = sort_out(database.shelf_nodes(sample))
    for user_id in sample:
        shelf = build_shelf(user_id, entries)
        one = ready[user_id]
        if shelf.digest == one.digest and not (
            is_of_model(one, shelf, model, catalogue) and _more_is_of_model(one, shelf, model)
        ):
            raise BadModel("a shard has lists that the model does not make")


def is_of_model(ready: ReadyList, shelf: Shelf, model: Recommender, catalogue: Catalogue) -> bool:
    """Return whether a list for this shelf has the model's books, in order unless scores are about equal."""
    made = make_list(shelf, model, catalogue)
    items = list(ready.node["items"])
    if [(item["isbn"], item["source"]) for item in items] == [(item.isbn, item.source) for item in made.items]:
        return True
    if len(items) != len(made.items):
        return False
    scores = {candidate.isbn: candidate.score for candidate in model.candidates(shelf)}
    if model.items.diversity.strength:
        return _is_about(items, made, scores, model, catalogue)
    return all(
        item["isbn"] in scores
        and abs(item["score"] - one.score) <= TOLERANCE
        and abs(scores[item["isbn"]] - one.score) <= TOLERANCE
        for item, one in zip(items, made.items, strict=True)
        if item["isbn"] != one.isbn
    )


def _is_about(
    items: Sequence[Mapping[str, Any]],
    made: RecommendationList,
    scores: Mapping[str, float],
    model: Recommender,
    catalogue: Catalogue,
) -> bool:
    """Return whether each item has about the best score of those not yet listed, given the items before it.

    With diversity, a book's score depends on the books before it: two that change places may move others.
    """
    listed = {item["isbn"] for item in items}
    # Of two editions with about equal scores, either may be listed.
    possible = [Candidate(i, score + TOLERANCE * (i in listed), None, "personal") for i, score in scores.items()]
    left = {candidate.isbn: scores[candidate.isbn] for candidate in allowed(made.shelf, possible, catalogue)}
    strength, chosen = model.items.diversity.strength, Chosen(model.kin)
    for item, one in zip(items, made.items, strict=True):
        isbn = item["isbn"]
        if not left:
            if isbn != one.isbn:
                return False
            continue
        now = {other: score - strength * chosen.likeness(other) for other, score in left.items()}
        if isbn not in now or max(abs(item["score"] - now[isbn]), max(now.values()) - now[isbn]) > TOLERANCE:
            return False
        chosen.add(isbn)
        del left[isbn]
    return True


def _more_is_of_model(ready: ReadyList, shelf: Shelf, model: Recommender) -> bool:
    """Return whether the lists that go with a list are of the model's candidates, as far as they say that they are.

    Their order is not compared: it depends on the catalogue, which may have changed since the snapshot.
    """
    if ready.more is None:
        return True
    known = {(candidate.isbn, candidate.source) for candidate in model.candidates(shelf)}
    items = (ready.more.next, *(one.items for one in ready.more.genres))
    return all((item.isbn, item.source) in known for part in items for item in part if item.source == "personal")
