"""From shelves to lists in the database: the one path that every list takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence

from backend.models import LiveModel
from backend.ports import TIMESTAMP, Clock, Database, Together
from bookrec import paths
from bookrec.catalogue import Catalogue, parse_catalogue
from bookrec.errors import BookrecError
from bookrec.ranking import Candidate, RecommendationList, top_list
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf, build_shelf, sort_out

MAX_ROUNDS = 10
"""How often a list is made again because its shelf or the model changed meanwhile."""

MAX_LISTS_A_WRITE, MAX_BYTES_A_WRITE = 50, 1 << 20
"""Bounds of one multi-path update."""

NO_MODEL = "none"
"""The model version of lists that were made before any model was published."""


class StillChangingError(BookrecError):
    """A shelf changed in every round; the event that changed it last makes the list."""


class CatalogueCache:
    """The catalogue, read again only where its ETag has changed, and asked for at most once in ``ttl_ms``."""

    def __init__(self, database: Database, clock: Clock, ttl_ms: int) -> None:
        self._database, self._clock, self._ttl_ms = database, clock, ttl_ms
        self._lock = threading.Lock()
        self._catalogue, self._etag, self._checked_at = Catalogue(()), "", -ttl_ms - 1

    def current(self) -> Catalogue:
        """Return the catalogue, at most ``ttl_ms`` old."""
        with self._lock:
            if self._clock.now_ms() - self._checked_at > self._ttl_ms:
                nodes, self._etag = self._database.catalogue(self._etag)
                if nodes is not None:
                    self._catalogue, _ = parse_catalogue(nodes)
                self._checked_at = self._clock.now_ms()
            return self._catalogue


class ListRefresher:
    """Computes users' lists from their shelves as they stand, and writes them."""

    def __init__(self, database: Database, model: LiveModel, catalogue: CatalogueCache, together: Together) -> None:
        self._database, self._model, self._catalogue, self._together = database, model, catalogue, together

    def refresh(self, user_ids: Sequence[str]) -> str:
        """Bring the lists of some users up to date; return the model version that they were made with.

        After writing, shelves and model are read again: whoever changed meanwhile is done once more. So of
        two runs that overlap, the one that ends last leaves the list of the last shelf.

        Raises:
            StillChangingError: after ``MAX_ROUNDS`` rounds without rest.
        """
        waiting, version = sorted(set(user_ids)), NO_MODEL
        for _ in range(MAX_ROUNDS):
            if not waiting:
                return version
            shelves, model, catalogue = self._together(
                [lambda: self._shelves(waiting), self._model.current, self._catalogue.current]  # noqa: B023
            )
            version = model.version if model else NO_MODEL
            lists = [make_list(shelf, model, catalogue) for shelf in shelves.values()]
            for batch in batches(lists, catalogue):
                self._database.update(batch)
            waiting = self._outdated(shelves, version)
        if waiting:
            raise StillChangingError(f"{len(waiting)} shelves changed in each of {MAX_ROUNDS} rounds")
        return version

    def _shelves(self, user_ids: Sequence[str]) -> dict[str, Shelf]:
        entries, _ = sort_out(self._database.shelf_nodes(user_ids))
        return {user_id: build_shelf(user_id, entries) for user_id in user_ids}

    def _outdated(self, used: Mapping[str, Shelf], version: str) -> list[str]:
        present, model = self._together([lambda: self._shelves(list(used)), self._model.current])
        if (model.version if model else NO_MODEL) != version:
            return list(used)
        return [user_id for user_id, shelf in used.items() if present[user_id].digest != shelf.digest]


def make_list(shelf: Shelf, model: Recommender | None, catalogue: Catalogue) -> RecommendationList:
    """Return a shelf's list: the model's, filled up with popular and new books; without a model only those."""
    if model is None:
        best = [isbn for isbn in catalogue.best_rated if catalogue[isbn].average_rating > 0]
        fill = [Candidate(isbn, 0.0, None, "popular") for isbn in best]
        fill += [Candidate(isbn, 0.0, None, "newest") for isbn in catalogue.newest]
        return top_list(shelf, NO_MODEL, [], fill, catalogue)
    return top_list(shelf, model.version, model.candidates(shelf), model.fill(shelf, catalogue.newest), catalogue)


def batches(lists: Sequence[RecommendationList], catalogue: Catalogue) -> Iterator[dict[str, object]]:
    """Yield multi-path updates that write ``lists``, each bounded in lists and bytes."""
    batch: dict[str, object] = {}
    size = 0
    for item in lists:
        node = item.to_node(catalogue, TIMESTAMP)
        added = len(json.dumps(node))
        if batch and (len(batch) >= MAX_LISTS_A_WRITE or size + added > MAX_BYTES_A_WRITE):
            yield batch
            batch, size = {}, 0
        batch[paths.recommendations(item.shelf.user_id)] = node
        size += added
    if batch:
        yield batch
