"""What is read of books' metadata."""

import pandas as pd

from trainer.data.features import item_facts


def test_series_and_their_places_are_read_from_titles():
    books = pd.DataFrame(
        {
            "isbn": ["1", "2", "3"],
            "title": ["Catching Fire (The Hunger Games, #2)", "Emma", "All of it (the hunger games #1-3)"],
            "authors": ["Suzanne Collins", "", "suzanne collins, A Translator"],
        }
    )
    facts = item_facts(("1", "2", "3", "4"), books)
    assert facts.series.tolist() == [0, -1, 0, -1]
    assert facts.numbers.tolist() == [2, 0, 1, 0]
    assert facts.authors.tolist() == [0, -1, 0, -1]
