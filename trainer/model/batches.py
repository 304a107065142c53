"""The input of training steps: groups of readers with their shelves, always sparse.

A shelf takes five bytes per book: its index, and its stars in halves. If even that is too much for memory, the arrays
are mapped from files, and a group reads only its own shelves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.errors import BadInput
from trainer.config import Config, Negatives
from trainer.data.dataset import Ratings
from trainer.serving.biases import Biases

READERS_A_GROUP_STEP = 2_048
"""A step has one group for so many readers: with more readers, steps become larger instead of more numerous."""

MOST_GROUPS = 32

Group = dict[str, Any]
"""The arrays of one group, as ``trainer.model.shelf_model.GROUP`` describes them."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """All shelves, concatenated.

    Attributes:
        starts: int64 [users + 1], where each reader's books begin.
        items: int32 [entries], item indices.
        halves: uint8 [entries], twice the stars, 0 for a book without a rating.
    """

    starts: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    halves: npt.NDArray[np.uint8]

    @staticmethod
    def of(ratings: Ratings) -> Shelves:
        """Return the shelves in memory; the entries must be sorted by user, as ``dataset.build`` returns them."""
        sizes = np.bincount(ratings.users, minlength=ratings.shape[0])
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Shelves(starts, ratings.items, np.round(ratings.stars * 2).astype(np.uint8))

    def on_disk(self, folder: Path) -> Shelves:
        """Write the shelves into a folder; return them mapped from there."""
        for name in ("starts", "items", "halves"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        return Shelves.mapped(folder)

    @staticmethod
    def mapped(folder: Path) -> Shelves:
        """Return the shelves that ``on_disk`` wrote; only the parts being read are in memory."""
        return Shelves(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("starts", "items", "halves")))


class Feed:
    """Draws the groups of an epoch.

    Args:
        shelves: the shelves of all readers.
        biases: the biases that residuals are relative to.
        popularity: float32 [items], each book's share of all entries: its probability among a batch's targets.
        config: sizes and seed.
        negatives: for ``catalogue``, the books with entries are sampled again for each group if they are many.
        groups: number of groups per step, for all workers.
        share: the slice of these groups that is wanted.
    """

    def __init__(
        self,
        shelves: Shelves,
        biases: Biases,
        popularity: npt.NDArray[np.float32],
        config: Config,
        negatives: Negatives,
        groups: int = 1,
        share: slice = slice(None),
    ) -> None:
        self._shelves, self._biases, self._popularity, self._config = shelves, biases, popularity, config
        self._groups, self._share = groups, share
        self._rated = np.unique(shelves.items).astype(np.int32)
        self._negatives = negatives
        self._readers = np.flatnonzero(np.diff(shelves.starts) > 1)

    def steps(self, epoch: int) -> Iterator[list[Group]]:
        """Yield the wanted groups of each step, of readers with more than one book, in a new order every epoch.

        A group depends only on the seed, the epoch and its place, not on the worker that asks for it.
        """
        seed = self._config.seed
        readers = np.random.default_rng((seed, epoch)).permutation(self._readers)
        count = -(-len(readers) // (self._config.batch_users * self._groups))
        for number, part in enumerate(np.array_split(readers, count) if count else ()):
            groups = list(enumerate(np.array_split(part, self._groups)))[self._share]
            yield [
                self._group(members, np.random.default_rng((seed, epoch, number, place))) for place, members in groups
            ]

    def _group(self, readers: npt.NDArray[np.int64], rng: np.random.Generator) -> Group:
        shelves, biases = self._shelves, self._biases
        begin = np.asarray(shelves.starts[readers])
        sizes = np.asarray(shelves.starts[readers + 1]) - begin
        offsets = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum())
        entries = places + np.repeat(begin - offsets, sizes)
        rows = np.repeat(np.arange(len(readers), dtype=np.int32), sizes)
        items = np.asarray(shelves.items[entries])
        stars = np.asarray(shelves.halves[entries]).astype(np.float32) / 2
        residuals = np.where(stars > 0, stars - np.float32(biases.mean) - biases.items[items], np.float32(0))
        shuffled = np.lexsort((rng.random(len(rows)), rows))
        chosen = shuffled[places - np.repeat(offsets, sizes) < self._config.pairs_per_user]
        columns, weights = self._columns(items, rng)
        shelf = np.searchsorted(columns, items).astype(np.int32)
        return {
            "readers": np.int32(len(readers)),
            "shelf_rows": rows,
            "shelf": shelf,
            "residuals": residuals.astype(np.float32),
            "rows": rows[chosen],
            "targets": shelf[chosen],
            "stars": stars[chosen],
            "mean": np.float32(biases.mean),
            "columns": columns,
            "column_weights": weights,
            "column_bias": biases.items[columns],
            "column_popularity": self._popularity[columns],
        }

    def _columns(
        self, items: npt.NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the books of a group, ascending, and how many books each one represents.

        With a batch's negatives, they are the shelves' own books; otherwise all books with entries, or if these are
        many, the shelves' own books and a sample of the others.
        """
        if self._negatives == "batch":
            own_only = np.unique(items)
            return own_only, np.ones(len(own_only), np.float32)
        if len(self._rated) <= self._config.catalogue_sample:
            return self._rated, np.ones(len(self._rated), np.float32)
        own = np.unique(items)
        others = np.setdiff1d(self._rated, own, assume_unique=True)
        wanted = min(max(self._config.catalogue_sample - len(own), 1), len(others))
        columns = np.sort(np.concatenate([own, rng.choice(others, wanted, replace=False)]))
        weights = np.full(len(columns), len(others) / max(wanted, 1), np.float32)
        weights[np.isin(columns, own)] = 1
        return columns, weights


def groups_a_step(config: Config, readers: int, workers: int = 1) -> int:
    """Return the number of groups per step: from the configuration, or by the number of readers.

    Raises:
        BadInput: if they cannot be shared evenly by the workers.
    """
    if not config.groups:
        wanted = int(np.clip(readers // READERS_A_GROUP_STEP, 1, MOST_GROUPS))
        return -(-wanted // workers) * workers
    if config.groups % workers:
        raise BadInput(f"{config.groups} groups per step cannot be shared evenly by {workers} workers")
    return config.groups
