"""The report of a run, a self-contained HTML file, and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bookrec.ranking import Candidate
from trainer.data.dataset import Ratings
from trainer.evaluation import plots
from trainer.metrics import ACCURACY_CUTOFFS, BEYOND, OURS

REPORT = "report.html"
MODEL_CARD = "model_card.md"

EXAMPLES = 10
SHELF_SHOWN = 8
LIST_SHOWN = 10

_UNKNOWN = {"version": None, "gate": None}
"""Defaults for details that a run has and an evaluation lacks."""

_TEMPLATES = Path(__file__).with_name("templates")


def examples(
    top: Mapping[str, Sequence[Candidate]], train: Ratings, books: pd.DataFrame | None, seed: int
) -> list[dict[str, Any]]:
    """Return ten readers as the report shows them: no id, a part of the shelf, and the list with its reasons.

    Args:
        top: candidates by user id.
        train: the entries that the lists were made from.
        books: the catalogue, for titles, or None.
        seed: seed for choosing the readers.
    """
    titles = _titles(books)
    able = sorted(set(top) & set(train.user_ids))
    chosen = np.random.default_rng(seed).permutation(able)[:EXAMPLES].tolist()
    readers = []
    for user_id in chosen:
        rows = np.flatnonzero(train.users == train.user_ids.index(user_id))
        rows = rows[np.argsort(-train.stars[rows], kind="stable")]
        shelf = [
            {"title": titles.get(isbn, isbn), "stars": stars}
            for isbn, stars in ((train.isbns[train.items[row]], train.stars[row]) for row in rows[:SHELF_SHOWN])
        ]
        listed = [
            {
                "title": titles.get(candidate.isbn, candidate.isbn),
                "rating": candidate.predicted_rating,
                "because": [titles.get(isbn, isbn) for isbn in candidate.because],
            }
            for candidate in top[user_id][:LIST_SHOWN]
        ]
        readers.append({"size": len(rows), "shelf": shelf, "list": listed})
    return readers


def changes(
    ours: Mapping[str, Sequence[Candidate]],
    live: Mapping[str, Sequence[Candidate]],
    version: str,
    books: pd.DataFrame | None,
) -> dict[str, Any]:
    """Return how the top tens differ from the live model's for the same shelves.

    Returns:
        ``version`` (the live one), ``readers``, ``kept`` (mean number of books of a top ten that stay), ``same``
        (share of readers whose ten books are the same), and ``more`` and ``less``: the books whose number of lists
        grew and shrank most, as ``title, before, after``.
    """
    titles = _titles(books)
    pairs = [({c.isbn for c in ours[u][:10]}, {c.isbn for c in live[u][:10]}) for u in ours if u in live]
    kept = [len(new & old) for new, old in pairs]
    after = pd.Series([isbn for new, _ in pairs for isbn in new], dtype=object).value_counts()
    before = pd.Series([isbn for _, old in pairs for isbn in old], dtype=object).value_counts()
    moved = after.sub(before, fill_value=0).sort_index().sort_values(kind="stable")

    def row(isbn: str) -> dict[str, Any]:
        counts = {"before": int(before.get(isbn, 0)), "after": int(after.get(isbn, 0))}
        return {"title": titles.get(isbn, isbn), **counts}

    return {
        "version": version,
        "readers": len(pairs),
        "kept": float(np.mean(kept)) if kept else 0.0,
        "same": float(np.mean([new == old for new, old in pairs])) if pairs else 0.0,
        "more": [row(str(isbn)) for isbn, by in moved[::-1][:5].items() if by > 0],
        "less": [row(str(isbn)) for isbn, by in moved[:5].items() if by < 0],
    }


def render(
    details: Mapping[str, Any],
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    shown: Sequence[Mapping[str, Any]],
    changed: Mapping[str, Any] | None = None,
) -> str:
    """Return the report as HTML.

    Args:
        details: the manifest's details: ``metrics`` (``model``, ``baselines`` and, on request, ``coldStart``,
            ``coldBooks`` and ``baselinesLeftOut``), ``data``, ``choices``, ``verifiedIn`` and, if a gate judged the
            model, ``gate``.
        histories: the curves, by variant and measure.
        shown: the result of ``examples``.
        changed: the result of ``changes``; None without a live model.
    """
    metrics = details["metrics"]
    rows = {OURS: metrics["model"], **metrics["baselines"]}
    ranked = {name: row["ndcg"] for name, row in rows.items() if "ndcg" in row}
    rated = {
        name: {"mean": row["rmse"], "low": row["rmse_low"], "high": row["rmse_high"]}
        for name, row in rows.items()
        if row.get("rmse") is not None and np.isfinite(row["rmse"])
    }
    curve, cold = metrics.get("coldStart"), metrics.get("coldBooks")
    drawn = {
        "curves": plots.curves(histories),
        "ndcg": plots.intervals(
            dict(sorted(ranked.items(), key=lambda r: -r[1]["mean"])), "NDCG@10, with 95% intervals"
        ),
        "rmse": plots.intervals(
            dict(sorted(rated.items(), key=lambda r: r[1]["mean"])), "RMSE in stars, with 95% intervals"
        )
        if rated
        else "",
        "coverage": plots.coverage(rows),
        "beyond": plots.beyond(rows),
        "cold_start": plots.cold_start(curve) if curve and curve["models"] else "",
        "cold_books": plots.intervals(cold["models"], "NDCG@10 with only cold books ranked, with 95% intervals")
        if cold and cold["models"]
        else "",
    }
    return _template("report.html").render(
        details={**_UNKNOWN, **details},
        rows=rows,
        plots=drawn,
        examples=shown,
        changes=changed,
        left_out=metrics.get("baselinesLeftOut", {}),
        variants=len(histories),
        cutoffs=ACCURACY_CUTOFFS,
        beyond=BEYOND,
        cold=cold,
        ours=OURS,
    )


def model_card(details: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Return the model card in Markdown. Source: Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019)."""
    metrics = details["metrics"]
    rows = {OURS: metrics["model"], **metrics["baselines"]}
    sizes = {name: len(content) for name, content in sorted(files.items())}
    return _template("model_card.md").render(
        details={**_UNKNOWN, **details}, rows=rows, sizes=sizes, beyond=BEYOND, ours=OURS
    )


def _titles(books: pd.DataFrame | None) -> dict[str, str]:
    if books is None or "title" not in books:
        return {}
    return {isbn: title for isbn, title in zip(books["isbn"], books["title"], strict=True) if title}


def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["figure"] = lambda value: "–" if value is None or not np.isfinite(value) else f"{value:.3f}"
    return environment.get_template(name)
