"""How good the lists are in use: of the readers who shelved a book while having a list, how many took it from there.

For clients that say which lists they have shown, also: of the books that were shown, how many were taken.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from bookrec.life_cycle.manifest import Pointer
from bookrec.paths import children, whole

KEPT_LABELS = 20
"""The figures of so many models and experiments are kept: the newest."""

NO_MODEL = "none"
"""The model version of lists that are made without a model."""

Z95 = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""

ALL, ARMS = "all", ("a", "b")


def wilson(hits: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Return the confidence interval of a proportion, at 95% by default; 0 to 1 if there were no trials.

    It keeps its level near 0 and for few trials, unlike the usual one (the estimate ± z standard errors).
    Source: Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927); Brown, Cai and DasGupta, "Interval estimation for a binomial proportion",
    Statistical Science 16 (2001), equation 4 and section 3.1.1.
    """
    if trials <= 0:
        return 0.0, 1.0
    share, square = hits / trials, z * z / trials
    middle = share + square / 2
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return (0.0 if hits == 0 else max(low, 0.0)), (1.0 if hits == trials else min(high, 1.0))


@dataclass(slots=True)
class Shown:
    """The counts of lists that were shown.

    Attributes:
        readers: how many readers were shown such a list.
        lists: how many such lists.
        takers: how many of the readers shelved a book of a list that was shown.
        positions: shown books by position on the list.
        sources: shown books by kind of item.
        taken_positions: those that were shelved, by position.
        taken_sources: those that were shelved, by kind of item.
    """

    readers: int = 0
    lists: int = 0
    takers: int = 0
    positions: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    taken_positions: Counter[str] = field(default_factory=Counter)
    taken_sources: Counter[str] = field(default_factory=Counter)

    def add(self, lists: Mapping[str, Any], hits: Mapping[str, Any]) -> None:
        """Count one reader's shown lists (``showings.fact``), and the hits on lists that were shown."""
        if not lists:
            return
        taken = [hit for hit in map(children, hits.values()) if hit.get("shown") is True]
        self.readers, self.lists = self.readers + 1, self.lists + len(lists)
        self.takers += bool(taken)
        for fact in lists.values():
            numbers = {source: whole(number) for source, number in children(fact).items()}
            self.sources.update(numbers)
            self.positions.update(map(str, range(1, sum(numbers.values()) + 1)))
        self.taken_positions.update(str(hit.get("position")) for hit in taken)
        self.taken_sources.update(str(hit.get("source")) for hit in taken)

    def include(self, other: Shown) -> None:
        """Add the counts of other readers."""
        self.readers, self.lists = self.readers + other.readers, self.lists + other.lists
        self.takers += other.takers
        self.positions.update(other.positions)
        self.sources.update(other.sources)
        self.taken_positions.update(other.taken_positions)
        self.taken_sources.update(other.taken_sources)

    def to_node(self) -> dict[str, object]:
        """Return the database node, without the interval."""
        taken = {"positions": _by_number(self.taken_positions), "sources": dict(self.taken_sources)}
        numbers = {"readers": self.readers, "lists": self.lists, "takers": self.takers}
        return {**numbers, "positions": _by_number(self.positions), "sources": dict(self.sources), "taken": taken}

    def figures(self) -> dict[str, object]:
        """Return the database node with the interval of the share of readers who took a book."""
        low, high = wilson(self.takers, self.readers)
        return {**self.to_node(), "low": round(low, 6), "high": round(high, 6)}


def _by_number(counter: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda row: (len(row[0]), row[0])))


def read_shown(node: object) -> Shown:
    """Return the counts in a database node from ``Shown.to_node``."""
    fields = children(node)
    taken = children(fields.get("taken"))
    readers, lists, takers = (whole(fields.get(name)) for name in ("readers", "lists", "takers"))
    nodes = (fields.get("positions"), fields.get("sources"), taken.get("positions"), taken.get("sources"))
    positions, sources, taken_positions, taken_sources = (Counter(dict(children(node))) for node in nodes)
    return Shown(readers, lists, takers, positions, sources, taken_positions, taken_sources)


@dataclass(slots=True)
class Count:
    """The counts for a label, or for one of its arms.

    Attributes:
        readers: how many readers shelved a book while having such a list.
        hit_readers: how many of them shelved a book of the list.
        hits: how many such books.
        positions: hits by position on the list.
        sources: hits by kind of item.
        shown: the counts of lists that were shown.
    """

    readers: int = 0
    hit_readers: int = 0
    hits: int = 0
    positions: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    shown: Shown = field(default_factory=Shown)

    def add(self, node: Mapping[str, Any]) -> None:
        """Count one reader's node: the hits, if the reader shelved a book, and the lists that were shown."""
        hits = children(node.get("hits"))
        self.shown.add(children(node.get("shown")), hits)
        if "at" not in node:
            return
        self.readers += 1
        self.hit_readers += bool(hits)
        self.hits += len(hits)
        for hit in hits.values():
            self.positions[str(children(hit).get("position"))] += 1
            self.sources[str(children(hit).get("source"))] += 1

    def to_node(self) -> dict[str, object]:
        """Return the database node, without the interval."""
        numbers = {"readers": self.readers, "hitReaders": self.hit_readers, "hits": self.hits}
        rows = {"positions": dict(sorted(self.positions.items())), "sources": dict(self.sources)}
        return {**numbers, **rows, **({"shown": self.shown.to_node()} if self.shown.lists else {})}

    def figures(self) -> dict[str, object]:
        """Return the database node with the interval of the hit rate."""
        low, high = wilson(self.hit_readers, self.readers)
        figures = {**self.to_node(), "low": round(low, 6), "high": round(high, 6)}
        return {**figures, "shown": self.shown.figures()} if self.shown.lists else figures


def read_count(node: object) -> Count:
    """Return the count in a database node from ``Count.to_node``."""
    fields = children(node)
    readers, hit_readers, hits = (int(fields.get(name, 0)) for name in ("readers", "hitReaders", "hits"))
    positions, sources = (Counter(dict(children(fields.get(name)))) for name in ("positions", "sources"))
    return Count(readers, hit_readers, hits, positions, sources, read_shown(fields.get("shown")))


@dataclass(frozen=True, slots=True)
class Standing:
    """What the pointer said when counting began.

    Attributes:
        open: the labels that may still be given to new lists; all others have ended.
        experiment: the id of the running experiment, or "".
        arms: the versions of its arms.
    """

    open: frozenset[str]
    experiment: str = ""
    arms: Mapping[str, str] = field(default_factory=dict)

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        return {"open": sorted(self.open), "experiment": self.experiment, "arms": dict(self.arms)}


def standing(pointer: Pointer | None) -> Standing:
    """Return what the pointer says now."""
    if pointer is None:
        return Standing(frozenset({NO_MODEL}))
    running, versions = pointer.experiment, frozenset({NO_MODEL, *pointer.vouched()})
    if running is None:
        return Standing(versions)
    return Standing(versions | {running.id}, running.id, {"a": pointer.version, "b": running.version})


def read_standing(node: object) -> Standing:
    """Return the standing in a database node from ``Standing.to_node``."""
    fields = children(node)
    labels = frozenset(map(str, children(fields.get("open")).values()))
    return Standing(labels, str(fields.get("experiment", "")), dict(children(fields.get("arms"))))


@dataclass(slots=True)
class Tally:
    """The counts so far, page by page.

    Attributes:
        standing: what the pointer said when the first page was counted.
        counts: by label, for all readers and by arm.
    """

    standing: Standing
    counts: dict[str, dict[str, Count]] = field(default_factory=dict)

    def add(self, label: str, node: object) -> None:
        """Count one reader's node of a label."""
        fields = children(node)
        parts = self.counts.setdefault(label, {})
        for part in (ALL, fields.get("arm")):
            if part == ALL or part in ARMS:
                parts.setdefault(str(part), Count()).add(fields)

    def to_node(self) -> dict[str, object]:
        """Return the database node with which the next run continues."""
        counts = {label: {part: count.to_node() for part, count in self.counts[label].items()} for label in self.counts}
        return {"standing": self.standing.to_node(), "counts": counts}

    def report(self, before: Mapping[str, Any], now_ms: int, open_now: Set[str] = frozenset()) -> dict[str, object]:
        """Return the figures by label, for the newest labels: those still open, and those that ended last.

        Args:
            before: the previous figures; those of a label that had ended by then are final.
            open_now: the labels that are open after counting: one of a version that was published meanwhile has not
                ended, though it was not open when counting began.
        """
        is_open = self.standing.open | open_now
        labels: dict[str, dict[str, object]] = {label: dict(old) for label, old in before.items() if is_final(old)}
        for label in sorted(self.counts.keys() | before.keys()):
            if label in labels or not (label in self.counts or label not in is_open):
                continue  # final, or all its readers have left
            counted = self._figures(label, children(before.get(label))) if label in self.counts else before[label]
            labels[label] = {**counted} if label in is_open else {**counted, "endedAt": now_ms}
        newest = sorted(labels, key=lambda label: (labels[label].get("endedAt", math.inf), label), reverse=True)
        return {label: labels[label] for label in newest[:KEPT_LABELS]}

    def _figures(self, label: str, old: Mapping[str, Any]) -> dict[str, object]:
        counts = self.counts[label]
        figures = counts[ALL].figures()
        arms = {}
        for arm in ARMS:
            if arm in counts:
                known = children(children(old.get("arms")).get(arm)).get("version")
                version = self.standing.arms.get(arm) if label == self.standing.experiment else known
                arms[arm] = {**counts[arm].figures(), "version": version}
        return {**figures, "arms": arms} if arms else figures


def read_tally(node: object) -> Tally:
    """Return the tally in a database node from ``Tally.to_node``."""
    fields = children(node)
    counts = {
        label: {part: read_count(count) for part, count in children(parts).items()}
        for label, parts in children(fields.get("counts")).items()
    }
    return Tally(read_standing(fields.get("standing")), counts)


def is_final(figures: object) -> bool:
    """Return whether a label's figures no longer change: it has ended, and was counted once more since."""
    return "endedAt" in children(figures)
