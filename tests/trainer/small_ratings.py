"""Small data with a known taste: readers of one cluster read that cluster's books."""

import numpy as np
import pandas as pd


def clusters(readers=60, books=80, kinds=4, per_reader=12, seed=0):
    """Return ratings and books: reader u and book i are of kind u % kinds and i % kinds."""
    rng = np.random.default_rng(seed)
    rows = []
    for reader in range(readers):
        own = [book for book in range(books) if book % kinds == reader % kinds]
        others = [book for book in range(books) if book % kinds != reader % kinds]
        chosen = [*rng.choice(own, per_reader - 2, replace=False), *rng.choice(others, 2, replace=False)]
        for book in chosen:
            # Every other reader is hard to please: biases are for that.
            stars = (4.0 if book % kinds == reader % kinds else 3.0) + (0.5 if reader % 8 < 4 else -1.5)
            rows.append((f"reader-{reader:02}", f"09780{book:04}", "0" if rng.random() < 0.1 else str(stars)))
    ratings = pd.DataFrame(rows, columns=["userId", "isbn", "myRate"]).sample(frac=1, random_state=seed)
    titles = [f"Tale{book % kinds} of number{book}" for book in range(books)]
    isbns = [f"09780{book:04}" for book in range(books)]
    return ratings.reset_index(drop=True), pd.DataFrame(
        {"isbn": isbns, "title": titles, "authors": [f"Author{book % kinds}" for book in range(books)]}
    )


def split(ratings, share=0.25, seed=1):
    rng = np.random.default_rng(seed)
    held = rng.random(len(ratings)) < share
    return ratings[~held].reset_index(drop=True), ratings[held].reset_index(drop=True)
