"""What to write for one reader: the list, with the marks that go with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from backend.models import InUse, Live
from backend.ports import TIMESTAMP
from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.further.making import continued, with_more
from bookrec.further.sizes import Sizes
from bookrec.life_cycle.experiment import Experiment
from bookrec.push_keys import push_time
from bookrec.ranking import LIST_SIZE, Candidate, RecommendationList, by_score, top_list
from bookrec.reader import GONE, HERE, OURS, Reader
from bookrec.recommender import Recommender
from bookrec.reordering import dismissals, fatigue
from bookrec.reordering.exploration import OFF, Exploration, explored
from bookrec.shelf import Shelf
from bookrec.usage.conversions import conversion, shown_list
from bookrec.usage.list_events import Rows
from bookrec.usage.quality import NO_MODEL, standing

TRACES = (paths.DIRTY, paths.CONVERSIONS, paths.LIST_WRITES, paths.MORE_LISTS)
"""What the backend keeps of a reader besides the records of entries and the mark, until the reader leaves; the children
of ``/Users/{uid}`` that are not the profile go too."""

DEFAULT_SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Basis:
    """The model, the catalogue and the sizes with which all lists of a round are made, and who explores.

    Attributes:
        fatigue_half_life: see ``fatigue.reorder``.
        events_date: under which events of lists are collected; "" if they are not.
    """

    in_use: InUse
    catalogue: Catalogue
    exploration: Exploration = OFF
    sizes: Sizes = DEFAULT_SIZES
    fatigue_half_life: float = 0.0
    events_date: str = ""

    def is_still(self, other: Basis) -> bool:
        """Return whether lists made with ``other`` would be the same with this."""
        return self.in_use.assignment == other.in_use.assignment and self.catalogue is other.catalogue


@dataclass(frozen=True, slots=True)
class Reordering:
    """What changes the order of one reader's candidates.

    Attributes:
        showings: by ISBN, how often each book was shown.
        fatigue_half_life: see ``fatigue.reorder``.
    """

    showings: Mapping[str, float] = field(default_factory=dict)
    fatigue_half_life: float = 0.0

    def __call__(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the candidates in their new order."""
        return fatigue.reorder(candidates, self.showings, self.fatigue_half_life)


def make_list(
    shelf: Shelf,
    model: Recommender | None,
    catalogue: Catalogue,
    sizes: Sizes = DEFAULT_SIZES,
    reordering: Reordering | None = None,
) -> RecommendationList:
    """Return a shelf's list: the model's books, then popular and new ones; without a model, only the latter.

    With it come the lists that follow it, of these ``sizes``.

    Args:
        reordering: of the model's books; None changes nothing.
    """
    version, ordered = NO_MODEL, list[Candidate]()
    if model is not None:
        likely = dismissals.lowered(model.candidates(shelf), shelf, catalogue)
        likely = reordering(likely) if reordering else likely
        version, ordered = model.version, by_score(model.in_order(shelf, likely, catalogue))
    fill = partial(_fill, shelf, model, catalogue)
    made = top_list(shelf, version, ordered, fill(), catalogue)
    return with_more(made, ordered, fill, model, catalogue, sizes)


def _fill(shelf: Shelf, model: Recommender | None, catalogue: Catalogue) -> Iterator[Candidate]:
    if model is not None:
        yield from model.fill(shelf, catalogue.newest)  # sorted only if the list needs it
        return
    yield from (Candidate(isbn, 0.0, None, "popular") for isbn in catalogue.well_rated)
    yield from (Candidate(isbn, 0.0, None, "newest") for isbn in catalogue.newest)


@dataclass(frozen=True, slots=True)
class Replaced:
    """A list that was replaced a moment ago.

    Attributes:
        shelf: the shelf at that time.
        reader: with that list.
        assignment: of the list that replaced it.
    """

    shelf: Shelf
    reader: Reader
    assignment: tuple[str, Experiment | None]


def writes_for(
    shelf: Shelf,
    keys: Sequence[str],
    reader: Reader,
    basis: Basis,
    changes: Sequence[str] | None,
    again: bool,
    replaced: Replaced | None = None,
) -> dict[str, object]:
    """Return what to write for one reader, by path; nothing if all is right.

    Args:
        shelf: the present one.
        keys: of all entries that name the reader, including bad ones.
        changes: see ``ListRefresher.refresh``.
        again: the list written a moment ago is outdated by now: it proves nothing.
        replaced: the list before that one. Its outcome is written again if the models have changed: the write a moment
            ago did not know of the running experiment.
    """
    if reader.is_gone:
        return _purge(shelf, keys, reader, basis, changes, again)
    if not keys and _is_nobody(reader, replaced):
        return _forget(shelf, reader, basis, changes, again)
    values: dict[str, object] = {}
    if reader.has_profile and reader.mark != HERE:
        values[f"{paths.READERS}/{shelf.user_id}"] = HERE
    in_use, catalogue = basis.in_use, basis.catalogue
    wanted = None if in_use.is_degraded else in_use.version_of(shelf.user_id)
    has_more = reader.more == basis.sizes.form
    is_full = changes is None and not again and len(reader.isbns) == LIST_SIZE
    if is_full and has_more and reader.is_served(shelf, wanted, catalogue):
        return values
    reordering = Reordering(reader.seen.books, basis.fatigue_half_life)
    made = make_list(shelf, in_use.model_of(shelf.user_id), catalogue, basis.sizes, reordering)
    today = basis.exploration.day
    if changes is None:  # another model's list, or a short one, may be the right one; a new day makes none wrong
        present = _explored(made, basis, today if reader.day is None else reader.day)
        if has_more and (reader.has(present, catalogue) or (not again and reader.has_reordered(present, catalogue))):
            return values
    made = _explored(made, basis, today)
    values[paths.recommendations(shelf.user_id)] = made.to_node(catalogue, TIMESTAMP)
    values[paths.more_lists(shelf.user_id)] = made.more_node(catalogue)  # always with its list: so they belong together
    rows = Rows(shelf.user_id, basis.events_date, in_use.live.experiment if in_use.live else None)
    if replaced and replaced.assignment != in_use.assignment:
        values |= _outcome(replaced.shelf, replaced.reader, in_use.live, rows)
    values |= _outcome(shelf, reader, in_use.live, rows)
    rows.dismissed(reader, shelf)
    rows.made(made.list_id, made.model_version, {i.isbn: i.source for i in made.items}, reader, TIMESTAMP)
    values |= rows.values
    return values | _marks(shelf, reader, changes or _changed(shelf, reader, in_use.live))


def _explored(made: RecommendationList, basis: Basis, day: int) -> RecommendationList:
    """Return a list with a place for a book that few have, if its reader explores; without a model, as it is."""
    model = basis.in_use.model_of(made.shelf.user_id)
    if model is None or not basis.exploration.is_for(made.shelf.user_id):
        return made

    def rate(isbn: str) -> float | None:
        return model.shown_ratings(made.shelf, [isbn])[0]

    return continued(explored(made, model.rare, day, basis.catalogue, rate), made, basis.catalogue)


def _outcome(shelf: Shelf, reader: Reader, live: Live | None, rows: Rows) -> dict[str, object]:
    """Return what to write about the list that is replaced.

    There is something if the shelf has grown while its reader had it, or if it was shown and that is not counted yet.

    Args:
        rows: the events of that list are added.
    """
    counted, experiment = standing(live.pointer if live else None).open, live.experiment if live else None
    outcome = conversion(reader, shelf, counted, experiment)
    values = outcome.to_values(shelf.user_id, TIMESTAMP) if outcome else {}
    if outcome:
        rows.taken(reader, outcome, TIMESTAMP)
    if reader.is_shown and not reader.is_showing_added:
        rows.shown(reader)
    if outcome or not reader.is_showing_added:  # with each hit on a shown list, whoever was shown it
        values |= shown_list(reader, shelf.user_id, counted, experiment)
    return values


def _changed(shelf: Shelf, reader: Reader, live: Live | None) -> Sequence[str]:
    """Return the key to mark for an unnoticed change of the entries: the last one's, or a hash if there are none left.

    What was dismissed since does not count: it is not trained on.

    The shelf of an unknown reader is not marked if it is older than the live model's snapshot: it is an import, and was
    trained on.
    """
    if reader.entries_digest == shelf.entries_digest or (not shelf.entries and reader.digest is None):
        return ()
    snapshot_at = live.pointer.snapshot_at if live else 0
    is_known = reader.digest is not None or reader.mark is not None
    if not is_known and all(0 <= push_time(entry.key) < snapshot_at for entry in shelf.entries):
        return ()
    return (_last_key(shelf),)


def _last_key(shelf: Shelf) -> str:
    """Return the key of the shelf's last entry, or a hash of the reader's id if there is none."""
    return shelf.entries[-1].key if shelf.entries else hashlib.sha256(shelf.user_id.encode()).hexdigest()[:20]


def _marks(shelf: Shelf, reader: Reader, changes: Iterable[str]) -> dict[str, object]:
    """Return the marks of changed entries, and the reader's, by which ``ShardWriter`` knows of a newer list.

    A change of dismissals makes only the latter: it asks for no retraining.
    """
    marks = _change_marks(changes)
    has_dismissals = bool(shelf.dismissed) or reader.digest != reader.entries_digest
    is_dirty = bool(marks) or (has_dismissals and reader.digest != shelf.digest)
    return marks | {f"{paths.DIRTY}/{shelf.user_id}": {"at": TIMESTAMP}} if is_dirty else {}


def _change_marks(keys: Iterable[str]) -> dict[str, object]:
    """Return the marks that entries have changed, by path."""
    return {f"{paths.CHANGES}/{key}": {"at": TIMESTAMP} for key in keys}


def _is_nobody(reader: Reader, replaced: Replaced | None) -> bool:
    """Return whether somebody without an entry has left and was purged, or was never here.

    A late event, a task or a pause can name such a reader once more, and nothing would ever remove a list that is made
    then. One who never had a profile keeps a list that is there.
    """
    was_here = replaced is not None and (replaced.reader.has_profile or replaced.reader.mark is not None)
    return not reader.has_profile and (was_here or not reader.has_list)


def _forget(
    shelf: Shelf, reader: Reader, basis: Basis, changes: Sequence[str] | None, again: bool
) -> dict[str, object]:
    """Return the marks that training needs of a reader who is nobody, and what removes a list that came too late.

    Args:
        again: the marks were written a moment ago; if the reader was purged since, they are traces.
    """
    if again:
        return _traces_of(shelf.user_id) if reader.has_traces else {}
    changed = changes or _changed(shelf, reader, basis.in_use.live)
    values = _marks(shelf, reader, changed) if changed else {}
    if reader.has_traces or changes is not None:  # an event may be all that tells of a node that went as a whole
        others = paths.more_lists(shelf.user_id), f"{paths.CONVERSIONS}/{shelf.user_id}"
        values |= dict.fromkeys((*_ours(shelf.user_id), *others))
    return values | ({f"{paths.LIST_WRITES}/{shelf.user_id}": None} if values else {})


def _traces_of(user_id: str) -> dict[str, object]:
    return dict.fromkeys([*(f"{node}/{user_id}" for node in TRACES), *_ours(user_id)])


def _purge(
    shelf: Shelf, keys: Sequence[str], reader: Reader, basis: Basis, changes: Sequence[str] | None, again: bool
) -> dict[str, object]:
    """Return what removes the traces of a reader who left, and the marks that training needs of the departure.

    Removing the entries is up to the app. As long as there are any, the reader stays marked as gone, so that no model
    is trained on them. If the shelf has changed since the mark was written, it is written again: newer entries may have
    been trained on. If only bad entries are left, there may have been others, and once the reader is marked as gone,
    no event tells of them.
    """
    if reader.mark == GONE and keys and not (reader.has_traces or again):
        return {}
    values = _traces_of(shelf.user_id) | dict.fromkeys(f"{paths.REJECTED}/{key}" for key in keys)
    values[f"{paths.READERS}/{shelf.user_id}"] = GONE if keys else None
    if reader.mark != GONE or again:
        changed = (_last_key(shelf),) if keys else changes or _changed(shelf, reader, basis.in_use.live)
        values |= _change_marks(changed)
    return values


def _ours(user_id: str) -> list[str]:
    """Return the paths of what a reader's node holds besides the profile."""
    return [f"{paths.USERS}/{user_id}/{name}" for name in sorted(OURS)]
