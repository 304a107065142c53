"""Makes the lists that go with a reader's ten: the next pages, and the reader's strongest genres."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from bookrec.catalogue import Catalogue
from bookrec.further.genres import strongest
from bookrec.further.sizes import Sizes
from bookrec.ranking import (
    LIST_SIZE,
    Candidate,
    GenreList,
    MoreLists,
    RecommendationList,
    first_allowed,
)
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf


def with_more(
    made: RecommendationList,
    ordered: Sequence[Candidate],
    fill: Callable[[], Iterable[Candidate]],
    model: Recommender | None,
    catalogue: Catalogue,
    sizes: Sizes,
) -> RecommendationList:
    """Return a list with the lists that go with it.

    The next pages continue the order that gave the ten, whatever it is, and have none of the ten. A genre's list has
    the best candidates of that genre, then popular and new books of it; each is a view of its own, so books of the
    ten, of the pages and of other genres may be there too.

    Args:
        made: the ten.
        ordered: the model's candidates, the best first.
        fill: returns what the pages are filled up with, in order; called only if that is needed.
        model: predicts the ratings of books that fill up a genre; None if none is live.
    """
    if sizes.form is None:
        return made
    following = _next(made, ordered, fill, catalogue, sizes.pages * LIST_SIZE)
    return replace(made, more=MoreLists(sizes.form, following, _genres(made.shelf, ordered, model, catalogue, sizes)))


def continued(changed: RecommendationList, made: RecommendationList, catalogue: Catalogue) -> RecommendationList:
    """Return a list of which a book was changed after it was ``made``, with pages that continue it as it is now.

    What has left the ten comes first.
    """
    if made.more is None or changed.isbns == made.isbns:
        return changed
    size = int(made.more.form.partition("+")[0]) * LIST_SIZE
    order = (*changed.items, *made.items, *made.more.next)
    following = first_allowed(made.shelf, order, catalogue, len(changed.items) + size)[len(changed.items) :]
    return replace(changed, more=replace(made.more, next=following))


def _next(
    made: RecommendationList,
    ordered: Sequence[Candidate],
    fill: Callable[[], Iterable[Candidate]],
    catalogue: Catalogue,
    size: int,
) -> tuple[Candidate, ...]:
    def order() -> Iterator[Candidate]:
        yield from made.items
        yield from ordered
        yield from fill()

    ten = len(made.items)
    if ten < LIST_SIZE or not size:  # nothing is left
        return ()
    return first_allowed(made.shelf, order(), catalogue, ten + size)[ten:]


def _genres(
    shelf: Shelf, ordered: Sequence[Candidate], model: Recommender | None, catalogue: Catalogue, sizes: Sizes
) -> tuple[GenreList, ...]:
    genres = strongest(shelf, catalogue, sizes.genres)
    if not genres:
        return ()
    of_book = {item.isbn: catalogue.genres(item.isbn) for item in ordered if item.isbn in catalogue}
    chosen: dict[str, tuple[Candidate, ...]] = {}
    for genre in genres:
        own = (item for item in ordered if genre in of_book.get(item.isbn, ()))
        chosen[genre] = first_allowed(shelf, chain(own, _fill(genre, model, catalogue)), catalogue, LIST_SIZE)
    # One question to the model for all books that only fill up.
    missing = sorted({item.isbn for items in chosen.values() for item in items if item.predicted_rating is None})
    ratings = dict(zip(missing, model.shown_ratings(shelf, missing), strict=True)) if model else {}
    lists = (
        GenreList(
            catalogue.genre_name(genre),
            tuple(
                replace(item, predicted_rating=ratings[item.isbn]) if item.isbn in ratings else item for item in items
            ),
        )
        for genre, items in chosen.items()
    )
    return tuple(one for one in lists if one.items)


def _fill(genre: str, model: Recommender | None, catalogue: Catalogue) -> Iterator[Candidate]:
    for isbn in model.items.popular if model else catalogue.well_rated:
        if isbn in catalogue and genre in catalogue.genres(isbn):
            yield Candidate(isbn, 0.0, None, "popular")
    for isbn in catalogue.of_genre(genre):
        yield Candidate(isbn, 0.0, None, "newest")
