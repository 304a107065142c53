"""The books of a run: those that are learned, and what its models know of all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.data.features import Facts, item_facts, item_features
from trainer.model.train_loop import Steps


class Catalogue:
    """The books of a run, and what its models have in common.

    Args:
        ratings: all entries of the run; the books that have one are learned, with the same places in all its models.
        books: the catalogue's metadata, or None.
        config: options.

    Attributes:
        isbns: all books, by item index.
        learned: int64 [learned], ascending: the items with entries.
        features: F, CSR [items, features].
        facts: what the reranker knows of each item.
        steps: the learned model's training steps, for the books that are learned.
    """

    def __init__(self, ratings: Ratings, books: pd.DataFrame | None, config: Config) -> None:
        is_rated = np.bincount(ratings.items, minlength=len(ratings.isbns)) > 0
        self.isbns, self.learned, self.config = ratings.isbns, np.flatnonzero(is_rated), config
        self.features = item_features(ratings.isbns, books, config.features, is_rated)
        self.facts = item_facts(ratings.isbns, books)
        is_small = config.fold_count(len(ratings.users)) > 1 and len(self.learned) <= config.catalogue_sample
        self.steps = Steps(self.shared(self.features[self.learned]), config, keep=is_small)

    def shared(self, features: sp.csr_matrix) -> sp.csr_matrix:
        """Return only what at least two books that are learned have: for a single one, it is a second id."""
        return features[:, self.features[self.learned].getnnz(axis=0) > 1]

    def of_learned(self, ratings: Ratings) -> Ratings:
        """Return entries with the books that are learned as the items."""
        isbns = tuple(self.isbns[item] for item in self.learned)
        return replace(ratings, isbns=isbns, items=np.searchsorted(self.learned, ratings.items).astype(np.int32))

    @property
    def facts_of_learned(self) -> Facts:
        """The facts of the books that are learned."""
        facts = self.facts
        return Facts(facts.series[self.learned], facts.numbers[self.learned], facts.authors[self.learned])
