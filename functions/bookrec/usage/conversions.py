"""What became of a list: it was shown, and its reader shelved a book while having it, perhaps one that was on it.

Conversions follow from the state alone: the list that is about to be replaced, and the present shelf. So an event, its
duplicate and the reconciler find the same conversions and write the same values.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from bookrec import paths
from bookrec.life_cycle.experiment import Arm, Experiment
from bookrec.reader import Reader
from bookrec.shelf import Shelf
from bookrec.usage.showings import fact


@dataclass(frozen=True, slots=True)
class Hit:
    """A shelved book that was on the list.

    Attributes:
        position: its place there, from 1.
        source: its kind of item.
        is_shown: the client had said that it showed this list, and that is counted.
    """

    position: int
    source: str
    is_shown: bool = False

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        return {"position": self.position, "source": self.source, **({"shown": True} if self.is_shown else {})}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a reader did while having a list.

    Attributes:
        labels: what it is counted for: the list's model (with None), and the running experiment with the reader's arm.
        hits: by the entry's key, the books that were on the list.
    """

    labels: Mapping[str, Arm | None]
    hits: Mapping[str, Hit]

    def to_values(self, user_id: str, at: object) -> dict[str, object]:
        """Return the values to write, by path. They are facts, not counts, so writing them twice changes nothing.

        Args:
            at: milliseconds since 1970, or the database's timestamp placeholder.
        """
        values: dict[str, object] = {}
        for label, arm in self.labels.items():
            node = f"{paths.CONVERSIONS}/{user_id}/{label}"
            values[f"{node}/at"] = at
            if arm is not None:
                values[f"{node}/arm"] = arm
            for key, hit in self.hits.items():
                values[f"{node}/hits/{key}"] = hit.to_node()
        return values


def conversion(
    reader: Reader, shelf: Shelf, versions: Container[str], experiment: Experiment | None
) -> Conversion | None:
    """Return the conversion of the list that is about to be replaced, or None if there is none or it is not counted.

    There is one if the shelf has more entries than the list was made from. A list has no book of its own shelf: an
    entry that names a book of the list was added, or changed to that book, while the reader had the list.

    Args:
        reader: with the list that is about to be replaced.
        shelf: the present one.
        versions: the models whose lists are still counted.
        experiment: the running one.
    """
    if reader.entries is None or len(shelf.entries) <= reader.entries:
        return None
    labels = labels_of(reader, shelf.user_id, versions, experiment)
    return Conversion(labels, _hits(reader, shelf)) if labels else None


def shown_list(
    reader: Reader, user_id: str, versions: Container[str], experiment: Experiment | None
) -> dict[str, object]:
    """Return what to write, by path, since the reader's present list was shown; nothing if it was not.

    It is a fact under the list's id, so writing it twice changes nothing. See ``conversion`` for the arguments.
    """
    if not reader.is_showing_counted:
        return {}
    values: dict[str, object] = {}
    for label, arm in labels_of(reader, user_id, versions, experiment).items():
        node = f"{paths.CONVERSIONS}/{user_id}/{label}"
        values[f"{node}/shown/{reader.list_id}"] = fact(reader.sources)
        if arm is not None:
            values[f"{node}/arm"] = arm
    return values


def labels_of(
    reader: Reader, user_id: str, versions: Container[str], experiment: Experiment | None
) -> dict[str, Arm | None]:
    """Return the labels that a reader's present list is counted for; see ``Conversion``."""
    labels: dict[str, Arm | None] = {}
    if isinstance(reader.version, str) and reader.version in versions:
        labels[reader.version] = None
    if experiment is not None:
        labels[experiment.id] = experiment.arm(user_id)
    return labels


def _hits(reader: Reader, shelf: Shelf) -> dict[str, Hit]:
    rows, is_shown = zip(reader.isbns, reader.sources, strict=True), reader.is_showing_counted
    listed = {isbn: Hit(at, source, is_shown) for at, (isbn, source) in enumerate(rows, 1) if isinstance(isbn, str)}
    return {entry.key: listed[entry.isbn] for entry in shelf.entries if entry.isbn in listed}
