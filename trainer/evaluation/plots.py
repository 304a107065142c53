"""Plots as SVG text, for the report and the benchmarks."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.metrics import BEYOND, OURS

HIGHLIGHT, BASELINE = "#1f5fbf", "#8a94a3"
COLOURS = ("#1f5fbf", "#d9822b", "#2e8b57", "#8a5fbf", "#c23b4b", "#8a94a3")
LABELS = {
    "loss": "training loss",
    "rmse": "RMSE on the training part",
    "validation_rmse": "RMSE on the held-out part",
    "ndcg": "NDCG@10 on the held-out part",
}


def curves(histories: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the notebook's curves over epochs: one panel per measure, one line per variant."""
    measures = [measure for measure in LABELS if any(measure in history for history in histories.values())]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(measures), squeeze=False)[0]
        for axis, measure in zip(axes, measures, strict=True):
            for colour, (variant, history) in zip(COLOURS, sorted(histories.items()), strict=False):
                values = history.get(measure, [])
                axis.plot(range(1, len(values) + 1), values, color=colour, label=variant, marker=".", alpha=0.8)
            axis.set_title(LABELS[measure])
            axis.set_xlabel("epoch")
        axes[0].legend(frameon=False)

    return _svg(draw, 3.4 * max(len(measures), 1), 2.9)


def intervals(rows: Mapping[str, Mapping[str, float]], title: str) -> str:
    """Return a dot with its interval for each model; ``rows``: by model ``mean``, ``low`` and ``high``."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for name, row in rows.items():
            colour = HIGHLIGHT if name == OURS else BASELINE
            axis.plot([row["low"], row["high"]], [name, name], color=colour, lw=2, solid_capstyle="round")
            axis.plot([row["mean"]], [name], color=colour, marker="o", ms=7)
            axis.annotate(f"{row['mean']:.3f}", (row["mean"], name), (0, 6), textcoords="offset points", ha="center")
        axis.invert_yaxis()
        axis.margins(0.06, 0.12)
        axis.grid(axis="x", color="#e6e9ee")
        axis.set_title(title)

    return _svg(draw, 5.2, 0.42 * len(rows) + 0.9)


def cold_start(curve: Mapping[str, Any]) -> str:
    """Return the plot of a cold-start curve, given as ``trainer.evaluation.cold_start`` returns it."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        places = range(len(curve["sizes"]))
        for colour, (name, points) in zip([*COLOURS, "#444", "#bbb"], curve["models"].items(), strict=False):
            ours = name == OURS
            axis.plot(
                places, [p["mean"] for p in points], color=colour, label=name, marker="o", lw=2.4 if ours else 1.2
            )
            if ours:
                axis.fill_between(
                    places, [p["low"] for p in points], [p["high"] for p in points], color=colour, alpha=0.15
                )
        axis.set_ylim(0, 1.25 * max(point["mean"] for points in curve["models"].values() for point in points) or 1)
        axis.set_xticks(list(places), [str(size) for size in curve["sizes"]])
        axis.set_xlabel("entries on the shelf")
        axis.set_title(f"NDCG@10 for {curve['readers']} unseen readers")
        axis.legend(frameon=False, fontsize=8)

    return _svg(draw, 6.2, 3.4)


def coverage(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a plot of the models' NDCG@10 over their coverage of the catalogue; ``rows``: metrics by model."""
    shown = {name: row for name, row in rows.items() if "coverage" in row and "ndcg" in row}

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for name, row in shown.items():
            place = (row["coverage"], row["ndcg"]["mean"])
            size = 30 + 250 * row["popular_share"]
            axis.scatter(*place, s=size, color=HIGHLIGHT if name == OURS else BASELINE, alpha=0.8, linewidths=0)
            axis.annotate(name, place, xytext=(7, 5), textcoords="offset points", fontsize=8)
        axis.margins(0.18)
        axis.set_xlabel("coverage: share of the catalogue on any list")
        axis.set_ylabel("NDCG@10")
        axis.set_title("Larger dot: more popular books on the lists")

    return _svg(draw, 5.6, 3.4)


def beyond(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a panel for each figure of ``list_metrics``, with a bar for each model; ``rows``: metrics by model."""
    shown = {name: row for name, row in rows.items() if "coverage" in row}
    measures = [measure for measure in BEYOND if any(measure in row for row in shown.values())]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, max(len(measures), 1), sharey=True, squeeze=False)[0]
        for axis, measure in zip(axes, measures, strict=False):
            for name, row in shown.items():
                value = row.get(measure, 0.0)
                axis.barh([name], [value], color=HIGHLIGHT if name == OURS else BASELINE)
                if measure in row:
                    axis.annotate(f"{value:.2f}", (value, name), (2, 0), textcoords="offset points", va="center")
            axis.set_xlim(0, 1.25)
            axis.set_xticks([0, 0.5, 1])
            axis.set_title(BEYOND[measure][0])
        axes[0].invert_yaxis()

    return _svg(draw, 1.7 * max(len(measures), 1) + 1.2, 0.28 * len(shown) + 0.9)


def trade_off(curve: Sequence[Mapping[str, float]], chosen: float, title: str) -> str:
    """Return NDCG@10 over the distance within a list, a dot a strength of diversity; the chosen one stands out."""
    shown = [row for row in curve if "list_distance" in row]

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.plot([row["list_distance"] for row in shown], [row["ndcg"] for row in shown], color=BASELINE, lw=1.2)
        for row in shown:
            place, is_chosen = (row["list_distance"], row["ndcg"]), row["strength"] == chosen
            axis.plot(*place, marker="o", ms=9 if is_chosen else 5, color=HIGHLIGHT if is_chosen else BASELINE)
            axis.annotate(f"{row['strength']:g}", place, (4, 4), textcoords="offset points", fontsize=8)
        axis.margins(0.1)
        axis.set_xlabel("mean distance between two books of a list, by metadata")
        axis.set_ylabel("NDCG@10")
        axis.set_title(f"{title}: strength of diversity, {chosen:g} chosen in validation")

    return _svg(draw, 5.6, 3.4)


def _svg(draw: Callable[[Any], None], width: float, height: float) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style = {
        "svg.hashsalt": "book",  # the same data gives the same file
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "font.family": "sans-serif",
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        content = io.StringIO()
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    text = content.getvalue()
    return text[text.index("<svg") :]
