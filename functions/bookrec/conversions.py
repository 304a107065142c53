"""What became of a list: its reader shelved a book while having it, and perhaps one that stood on it.

All of it is said by the state: the list that is about to be replaced, and the shelf as it stands. So whoever replaces
the list finds it, be it an event, its duplicate or the reconciler, and writes the same.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from bookrec import paths
from bookrec.experiment import Arm, Experiment
from bookrec.reader import Reader
from bookrec.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Hit:
    """A shelved book that stood on the list: at which position, the first being 1, and as what kind of item."""

    position: int
    source: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a reader did while having a list.

    Attributes:
        labels: what it is counted for, with the reader's arm where that is an experiment: the list's model, and the
            experiment that runs.
        hits: by the entry's key, the books that stood on the list.
    """

    labels: Mapping[str, Arm | None]
    hits: Mapping[str, Hit]

    def to_values(self, user_id: str, at: object) -> dict[str, object]:
        """Return what is to be written, by path: nothing that is counted, only what is so, however often it is written.

        Args:
            at: milliseconds since 1970, or the database's own timestamp placeholder.
        """
        values: dict[str, object] = {}
        for label, arm in self.labels.items():
            node = f"{paths.CONVERSIONS}/{user_id}/{label}"
            values[f"{node}/at"] = at
            if arm is not None:
                values[f"{node}/arm"] = arm
            for key, hit in self.hits.items():
                values[f"{node}/hits/{key}"] = {"position": hit.position, "source": hit.source}
        return values


def conversion(
    reader: Reader, shelf: Shelf, versions: Container[str], experiment: Experiment | None
) -> Conversion | None:
    """Return what the shelf says of the list that it outgrew; None where it did not, or where nobody counts it.

    The shelf has grown where it has more entries than the list was made from. A list holds no book of its own shelf:
    whichever entry names a book of the list came, or came to name it, while the reader had the list.

    Args:
        reader: with the list that is about to be replaced.
        shelf: as it stands.
        versions: whose lists are still counted.
        experiment: the one that runs.
    """
    if reader.entries is None or len(shelf.entries) <= reader.entries:
        return None
    labels: dict[str, Arm | None] = {}
    if isinstance(reader.version, str) and reader.version in versions:
        labels[reader.version] = None
    if experiment is not None:
        labels[experiment.id] = experiment.arm(shelf.user_id)
    return Conversion(labels, _hits(reader, shelf)) if labels else None


def _hits(reader: Reader, shelf: Shelf) -> dict[str, Hit]:
    rows = zip(reader.isbns, reader.sources, strict=True)
    listed = {isbn: Hit(at, source) for at, (isbn, source) in enumerate(rows, 1) if isinstance(isbn, str)}
    return {entry.key: listed[entry.isbn] for entry in shelf.entries if entry.isbn in listed}
