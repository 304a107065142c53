"""A write under ``/Users/{uid}/shown``: the client has shown the reader's list."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backend.guards import event_gate
from backend.ports import Database
from bookrec import paths
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.reader import Reader
from bookrec.usage.conversions import shown_list
from bookrec.usage.list_events import Rows
from bookrec.usage.quality import standing
from bookrec.usage.showings import after, read_seen


class ListShownHandler:
    """Counts the showing of a reader's present list, and adds it to what is remembered. Events are hints, as always.

    Args:
        events_date: returns the date under which events of lists are collected; "" if they are not.
        remembers: whether the books of shown lists are remembered (for fatigue), or only which list was shown last.
    """

    def __init__(self, database: Database, events_date: Callable[[], str] = str, *, remembers: bool) -> None:
        self._database, self._events_date, self._remembers = database, events_date, remembers

    def __call__(self, user_id: str) -> None:
        """Handle an event: whatever the client has shown, the present state says what is to be done."""
        self.add(self._database.readers([user_id]))

    def add(self, readers: Mapping[str, Reader]) -> int:
        """Add the last showing of each reader, if it is not added yet; return how many were added.

        What was on a list is known as long as its reader has it: an earlier list's showing is not added. That it was
        shown is counted all the same, with the write that replaces the list.

        The count comes first, and may be written twice; the memory is a conditional write. If the process dies in
        between, both are done again.

        Cost: nothing if there is none; else the pointer (1 kB), one update, and two requests a reader.
        """
        new = {
            user_id: reader
            for user_id, reader in sorted(readers.items(), key=lambda row: row[0])
            if reader.is_shown and not reader.is_showing_added and not reader.is_gone and paths.is_key(user_id)
        }
        if not new:
            return 0
        pointer = usable_pointer(self._database.pointer())
        counted, experiment = standing(pointer).open, pointer.experiment if pointer else None
        values, date = dict[str, object](), self._events_date()
        for user_id, reader in new.items():
            values |= shown_list(reader, user_id, counted, experiment)
            rows = Rows(user_id, date, experiment)
            rows.shown(reader)
            values |= rows.values
        values |= event_gate.counted(values)
        if values:
            self._database.update(values)
        return sum(self._remember(user_id, reader) for user_id, reader in new.items())

    def _remember(self, user_id: str, reader: Reader) -> bool:
        isbns = [isbn for isbn in reader.isbns if isinstance(isbn, str)] if self._remembers else None

        def change(node: object) -> Mapping[str, object] | None:
            seen = after(read_seen(node), reader.showing, str(reader.version), isbns)
            return seen.to_node() if seen else None

        return self._database.change_seen(user_id, change)
