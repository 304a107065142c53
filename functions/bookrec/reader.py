"""What the database says of a reader apart from the shelf: profile, dismissals, and the list that was written last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.life_cycle.ranges import is_time
from bookrec.ranking import RecommendationList, is_allowed
from bookrec.reordering.exploration import day_of
from bookrec.shelf import Shelf
from bookrec.usage.dismissed import BOOKKEEPING, DISMISSED, Dismissals, parse_dismissals
from bookrec.usage.showings import MAX_LISTS, Seen, Showing, read_seen, read_showing

LIST = "recommendations"
"""The child of ``/Users/{uid}`` that holds the list."""

SHOWN, SEEN = "shown", "seen"
OURS = frozenset({LIST, DISMISSED, BOOKKEEPING, SHOWN, SEEN})
"""The children of ``/Users/{uid}`` that are not the profile."""

HERE, GONE = "here", "gone"


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader.

    Attributes:
        digest: of the shelf that the present list was made from; None if there is no list.
        entries_digest: the same of its entries alone.
        version: the model that first gave that list; None if there is no list.
        isbns: the books on it, in order.
        sources: the kind of each of these items; "" if the list does not say.
        shown: what each of these items shows: title, author and image.
        entries: how many entries that shelf had; None if there is no list.
        has_profile: the app keeps a profile.
        mark: what ``/Recommender/readers`` says: ``HERE`` once a profile was seen, ``GONE`` once it was missing again,
            None for a reader who never had one (an import) and gets lists all the same.
        dismissals: the books that the reader has dismissed.
        day: when the present list was written, in days since 1970, UTC; None if there is none or it does not say.
        has_traces: there is something that is not the profile.
        more: of which sizes the lists are that go with this list (``further.sizes``); None if there are none.
        list_id: of the present list; "" if there is none.
        showing: which list the client has shown last.
        seen: what is remembered of all showings.
    """

    digest: object = None
    version: object = None
    isbns: tuple[object, ...] = ()
    has_profile: bool = False
    mark: object = None
    sources: tuple[str, ...] = ()
    entries: int | None = None
    shown: tuple[tuple[object, object, object], ...] = ()
    entries_digest: object = None
    dismissals: Dismissals = field(default_factory=Dismissals)
    day: int | None = None
    has_traces: bool = False
    more: object = None
    list_id: str = ""
    showing: Showing = field(default_factory=Showing)
    seen: Seen = field(default_factory=Seen)

    @property
    def is_gone(self) -> bool:
        """Return whether the reader has deleted the account."""
        return self.mark is not None and not self.has_profile

    @property
    def has_list(self) -> bool:
        """Return whether there is a list, complete or not."""
        return self.digest is not None or self.version is not None or bool(self.isbns)

    @property
    def is_shown(self) -> bool:
        """Return whether the client has shown the present list."""
        return self.list_id != "" and self.showing.list_id == self.list_id

    @property
    def is_showing_counted(self) -> bool:
        """Return whether the present list was shown and is one of those that are counted for its model."""
        number = self.seen.counted(str(self.version)) + (not self.is_showing_added)
        return self.is_shown and number <= MAX_LISTS

    @property
    def is_showing_added(self) -> bool:
        """Return whether what is remembered includes the last showing."""
        return self.seen.at >= self.showing.at

    def is_served(self, shelf: Shelf, version: str | None, catalogue: Catalogue) -> bool:
        """Return whether the present list is the right one for a shelf, without making that list.

        Args:
            shelf: the present one.
            version: of the model in use; None accepts a list of any model.
            catalogue: the present one: all books must be in it, as they are shown.
        """
        if self.digest != shelf.digest or (version is not None and self.version != version):
            return False
        return is_allowed(shelf, self.isbns, catalogue) and self.shows(self.isbns, catalogue)

    def has(self, made: RecommendationList, catalogue: Catalogue) -> bool:
        """Return whether the present list has exactly these books, in this order, as they are now, for this shelf."""
        return self.digest == made.shelf.digest and self.isbns == made.isbns and self.shows(made.isbns, catalogue)

    def has_reordered(self, made: RecommendationList, catalogue: Catalogue) -> bool:
        """Return whether the present list is ``made`` in another order, since it was shown: it may stay as it is.

        A short list has all books that are left; each showing moves some of them, and nobody wants that at once.
        """
        is_same = self.digest == made.shelf.digest and self.version == made.model_version
        is_reordered = bool(self.seen.books) and sorted(map(str, self.isbns)) == sorted(made.isbns)
        return is_same and is_reordered and self.shows(self.isbns, catalogue)

    def shows(self, isbns: Sequence[object], catalogue: Catalogue) -> bool:
        """Return whether the items show title, author and image of these books of the catalogue."""
        return self.shown == tuple(catalogue[str(isbn)].shown for isbn in isbns)


def parse_reader(node: object, mark: object) -> Reader:
    """Return the reader in a node ``/Users/{uid}``, with the mark.

    Malformed parts of a list count as missing.
    """
    profile = paths.children(node)
    present = paths.children(profile.get(LIST))
    items = [paths.children(item) for item in paths.children(present.get("items")).values()]
    based_on = paths.children(present.get("basedOn"))
    entries, written_at, list_id = based_on.get("entries"), present.get("generatedAt"), present.get("listId")
    return Reader(
        digest=based_on.get("digest"),
        version=present.get("modelVersion"),
        isbns=tuple(item.get("isbn") for item in items),
        has_profile=bool(profile.keys() - OURS),
        mark=mark,
        sources=tuple(str(item.get("source", "")) for item in items),
        entries=entries if isinstance(entries, int) and not isinstance(entries, bool) else None,
        shown=tuple((item.get("title"), item.get("author"), item.get("image")) for item in items),
        entries_digest=based_on.get("shelf", based_on.get("digest")),
        dismissals=parse_dismissals(profile.get(DISMISSED), profile.get(BOOKKEEPING)),
        day=day_of(written_at) if is_time(written_at) else None,
        has_traces=bool(profile.keys() & OURS),
        more=present.get("more"),
        list_id=list_id if isinstance(list_id, str) else "",
        showing=read_showing(profile.get(SHOWN)),
        seen=read_seen(profile.get(SEEN)),
    )
