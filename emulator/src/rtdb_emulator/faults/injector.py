"""Decides by a plan which deliveries are lost, doubled or late, which requests fail or stall, what is cut off.

Every trigger and every rule for requests or connections has its own random generator, seeded with the plan's seed
and its name. The same seed and the same sequence of events of a trigger (or of requests or connections that a rule
matches) therefore give the same decisions, whatever else happens meanwhile. Only which delivery ``reorder`` takes
depends on how many wait.
"""

from __future__ import annotations

import asyncio
import fnmatch
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from rtdb_emulator.data.keys import Path
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.plan import ConnectionRule, DeliveryRule, Plan, Range, RequestRule

AS_IS = (0.0,)
"""One delivery, at once."""

_NO_DELIVERIES = {"delivered": 0, "dropped": 0, "duplicated": 0, "delayed": 0}
_NO_REQUESTS = {"passed": 0, "failed": 0, "stalled": 0}
_NO_CONNECTIONS = {"kept": 0, "cut": 0}


class Trigger(Protocol):
    """What a rule for deliveries matches."""

    @property
    def name(self) -> str:
        """Its whole name."""

    @property
    def pattern(self) -> Path:
        """The parts of its path, with ``*`` for each capture."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request.

    Attributes:
        stall_s: how long it waits, in seconds.
        status: of the answer, or None for its own answer.
        after_effect: both happen after it was carried out.
    """

    stall_s: float
    status: int | None
    after_effect: bool

    async def strike(self) -> None:
        """Wait, then fail if it is to fail.

        Raises:
            ServiceError: with ``status``, if there is one.
        """
        await asyncio.sleep(self.stall_s)
        if self.status is not None:
            when = "after" if self.after_effect else "before"
            raise ServiceError(self.status, f"An injected fault, {when} the request was carried out")


@dataclass(eq=False, slots=True)
class _Connection:
    """An open connection.

    Attributes:
        cut: ends it.
        keep: cancels a planned cut.
    """

    namespace: str
    cut: Callable[[], None]
    keep: Callable[[], None] = lambda: None


class Faults:
    """Decides by a plan, and counts what it decided. Not for threads: one event loop calls it."""

    def __init__(self) -> None:
        self._open: dict[_Connection, None] = {}
        self.follow(Plan())

    def follow(self, plan: Plan) -> None:
        """Replace the plan, with new generators and counts; deliveries already decided on stay as they are.

        For each open connection, in the order in which they came, it decides again whether to cut it.
        """
        self._plan = plan
        self._connections = [rule for rule in plan.rules if isinstance(rule, ConnectionRule)]
        self._deliveries = [rule for rule in plan.rules if isinstance(rule, DeliveryRule)]
        self._requests = [rule for rule in plan.rules if isinstance(rule, RequestRule)]
        self._generators: dict[str, random.Random] = {}
        self._by_trigger: dict[str, Counter[str]] = defaultdict(lambda: Counter(_NO_DELIVERIES))
        self._by_path: dict[str, Counter[str]] = defaultdict(lambda: Counter(_NO_REQUESTS))
        self._by_namespace: dict[str, Counter[str]] = defaultdict(lambda: Counter(_NO_CONNECTIONS))
        for connection in self._open:
            connection.keep()
            self._decide(connection)

    @property
    def concern_requests(self) -> bool:
        """Whether the plan has a rule for requests."""
        return bool(self._requests)

    def report(self) -> dict[str, Any]:
        """Return the plan as JSON, and under ``counts`` what was decided so far.

        By trigger: events ``delivered`` and ``dropped``; of those delivered, the ``duplicated``; deliveries
        ``delayed``. By path: requests ``passed`` and ``failed``, and those of either that were ``stalled``. By
        pattern of namespaces: connections ``kept`` and ``cut``, or about to be cut.
        """
        counts = {"triggers": self._by_trigger, "requests": self._by_path, "connections": self._by_namespace}
        rules = [asdict(rule) for rule in self._plan.rules]
        return {"seed": self._plan.seed, "rules": rules, "counts": counts}

    def delays(self, trigger: Trigger) -> Sequence[float]:
        """Return how long each delivery of an event waits, in seconds: none if it is dropped."""
        rule = self._rule_of(trigger)
        if rule is None:
            return AS_IS
        chance, counts = self._generator(trigger.name), self._by_trigger[trigger.name]
        fate = chance.random()
        if fate < rule.drop:
            counts["dropped"] += 1
            return ()
        copies = 2 if fate < rule.drop + rule.duplicate else 1
        delays_s = [_seconds(chance, rule.delay_ms) for _ in range(copies)]
        counts.update(delivered=1, duplicated=copies - 1, delayed=sum(delay > 0 for delay in delays_s))
        return delays_s

    def position(self, trigger: Trigger, waiting: int) -> int:
        """Return which of so many waiting deliveries comes next: the first, unless they are to be reordered."""
        rule = self._rule_of(trigger)
        return self._generator(f"order of {trigger.name}").randrange(waiting) if rule and rule.reorder else 0

    @asynccontextmanager
    async def around(self, method: str, places: Iterable[Path]) -> AsyncIterator[None]:
        """Let a request for any of ``places`` stall or fail, before or after its effect.

        Raises:
            ServiceError: if it is to fail, whatever the result of the request was.
        """
        fault = self.of_request(method, places)
        if fault is not None and not fault.after_effect:
            await fault.strike()
        try:
            yield
        finally:
            if fault is not None and fault.after_effect:
                await fault.strike()

    def of_request(self, method: str, places: Iterable[Path]) -> Fault | None:
        """Return what happens to a request for any of ``places``, or None for nothing."""
        paths = ["/".join(place) for place in places]
        for number, rule in enumerate(self._requests):
            if method in rule.methods and any(fnmatch.fnmatchcase(path, rule.path) for path in paths):
                chance, counts = self._generator(f"request rule {number}"), self._by_path[rule.path]
                fails, stall_s = chance.random() < rule.fail, _seconds(chance, rule.stall_ms)
                counts.update(passed=not fails, failed=fails, stalled=stall_s > 0)
                return Fault(stall_s, rule.status if fails else None, rule.after_effect)
        return None

    def watch_connection(self, namespace: str, cut: Callable[[], None]) -> Callable[[], None]:
        """Add a connection that opened; return what to call at its end.

        Args:
            namespace: what it is for.
            cut: is called to cut it, never from within this call.
        """
        connection = _Connection(namespace, cut)
        self._open[connection] = None
        self._decide(connection)

        def release() -> None:
            connection.keep()
            self._open.pop(connection, None)

        return release

    def _decide(self, connection: _Connection) -> None:
        """Decide by the plan whether a connection is cut, and when."""
        connection.keep = lambda: None
        for number, rule in enumerate(self._connections):
            if fnmatch.fnmatchcase(connection.namespace, rule.connection):
                chance, counts = self._generator(f"connection rule {number}"), self._by_namespace[rule.connection]
                is_cut, wait_s = chance.random() < rule.cut, _seconds(chance, rule.cut_after_ms)
                counts.update(kept=not is_cut, cut=is_cut)
                if is_cut:
                    connection.keep = asyncio.get_running_loop().call_later(wait_s, connection.cut).cancel
                return

    def _rule_of(self, trigger: Trigger) -> DeliveryRule | None:
        if not self._deliveries:
            return None
        texts = (trigger.name, "/".join(trigger.pattern))
        rules = (r for r in self._deliveries if any(fnmatch.fnmatchcase(text, f"*{r.trigger}*") for text in texts))
        return next(rules, None)

    def _generator(self, name: str) -> random.Random:
        if name not in self._generators:
            self._generators[name] = random.Random(f"{self._plan.seed} {name}")
        return self._generators[name]


def _seconds(chance: random.Random, bounds: Range) -> float:
    return chance.uniform(*bounds) / 1000
