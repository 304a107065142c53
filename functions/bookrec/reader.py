"""What the database says of one reader beside the shelf: the profile, and the list that was written last."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from bookrec import paths
from bookrec.ranking import RecommendationList

LIST = "recommendations"
"""The child of ``/Users/{uid}`` that is ours; all others are the profile."""

HERE, GONE = "here", "gone"


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader.

    Attributes:
        digest: the shelf that the present list was made from; None where there is no list.
        version: the model that first gave it; None where there is no list.
        isbns: the books on it, in order.
        sources: of which kind each of them is; "" where the list does not say.
        entries: how many entries the shelf had that it was made from; None where there is no list.
        has_profile: the app keeps a profile.
        mark: what ``/Recommender/readers`` says: ``HERE`` once a profile was seen, ``GONE`` since it was missed, None
            for whoever never had one (an import) and is served all the same.
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
        """Tell whether the reader has deleted the account."""
        return self.mark is not None and not self.has_profile

    @property
    def has_list(self) -> bool:
        """Tell whether there is a list, whole or not."""
        return self.digest is not None or self.version is not None or bool(self.isbns)

    def is_served(self, digest: str, version: str | None, available: Container[object]) -> bool:
        """Tell whether the present list is the one for a shelf, without making it.

        Args:
            digest: of the shelf as it stands.
            version: of the model in use; None accepts a list of any model.
            available: the ISBNs that can be shown.
        """
        if self.digest != digest or (version is not None and self.version != version):
            return False
        return all(isbn in available for isbn in self.isbns)

    def has(self, made: RecommendationList) -> bool:
        """Tell whether the present list has exactly these books, in this order, for this shelf."""
        return self.digest == made.shelf.digest and self.isbns == made.isbns


def parse_reader(node: object, mark: object) -> Reader:
    """Return the reader in a node ``/Users/{uid}`` and its mark; whatever is malformed in a list counts as missing."""
    profile = paths.children(node)
    found = paths.children(profile.get(LIST))
    items = [paths.children(item) for item in paths.children(found.get("items")).values()]
    based_on = paths.children(found.get("basedOn"))
    entries = based_on.get("entries")
    return Reader(
        digest=based_on.get("digest"),
        version=found.get("modelVersion"),
        isbns=tuple(item.get("isbn") for item in items),
        has_profile=bool(profile.keys() - {LIST}),
        mark=mark,
        sources=tuple(str(item.get("source", "")) for item in items),
        entries=entries if isinstance(entries, int) and not isinstance(entries, bool) else None,
    )
