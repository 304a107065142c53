"""What the database says of a reader apart from the shelf: the profile, and the list that was written last."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from bookrec import paths
from bookrec.ranking import RecommendationList

LIST = "recommendations"
"""The child of ``/Users/{uid}`` that this backend writes; all others are the profile."""

HERE, GONE = "here", "gone"


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader.

    Attributes:
        digest: of the shelf that the present list was made from; None if there is no list.
        version: the model that first gave that list; None if there is no list.
        isbns: the books on it, in order.
        sources: the kind of each of these items; "" if the list does not say.
        entries: how many entries that shelf had; None if there is no list.
        has_profile: the app keeps a profile.
        mark: what ``/Recommender/readers`` says: ``HERE`` once a profile was seen, ``GONE`` once it was missing again,
            None for a reader who never had one (an import) and gets lists all the same.
    """

    digest: object = None
    version: object = None
    isbns: tuple[object, ...] = ()
    has_profile: bool = False
    mark: object = None
    sources: tuple[str, ...] = ()
    entries: int | None = None

    @property
    def is_gone(self) -> bool:
        """Return whether the reader has deleted the account."""
        return self.mark is not None and not self.has_profile

    @property
    def has_list(self) -> bool:
        """Return whether there is a list, complete or not."""
        return self.digest is not None or self.version is not None or bool(self.isbns)

    def is_served(self, digest: str, version: str | None, available: Container[object]) -> bool:
        """Return whether the present list is the right one for a shelf, without making that list.

        Args:
            digest: of the present shelf.
            version: of the model in use; None accepts a list of any model.
            available: the ISBNs that can be shown.
        """
        if self.digest != digest or (version is not None and self.version != version):
            return False
        return all(isbn in available for isbn in self.isbns)

    def has(self, made: RecommendationList) -> bool:
        """Return whether the present list has exactly these books, in this order, for this shelf."""
        return self.digest == made.shelf.digest and self.isbns == made.isbns


def parse_reader(node: object, mark: object) -> Reader:
    """Return the reader in a node ``/Users/{uid}`` with a mark; malformed parts of a list count as missing."""
    profile = paths.children(node)
    present = paths.children(profile.get(LIST))
    items = [paths.children(item) for item in paths.children(present.get("items")).values()]
    based_on = paths.children(present.get("basedOn"))
    entries = based_on.get("entries")
    return Reader(
        digest=based_on.get("digest"),
        version=present.get("modelVersion"),
        isbns=tuple(item.get("isbn") for item in items),
        has_profile=bool(profile.keys() - {LIST}),
        mark=mark,
        sources=tuple(str(item.get("source", "")) for item in items),
        entries=entries if isinstance(entries, int) and not isinstance(entries, bool) else None,
    )
