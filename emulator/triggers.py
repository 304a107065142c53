"""Database triggers: which functions a write calls, and the CloudEvents that they get."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from emulator.children import changed_keys
from emulator.database import Change
from emulator.errors import ServiceError
from emulator.keys import Path
from emulator.tree import Node, children, get, is_parent, same

EVENT_PREFIX = "google.firebase.database.ref.v1."
EVENT_KINDS = ("created", "updated", "deleted", "written")
DATA_TYPE = "type.googleapis.com/google.events.firebase.database.v1.ReferenceEventData"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trigger:
    """One registered trigger.

    Attributes:
        name: ``projects/P/locations/R/triggers/KEY``.
        pattern: its path; ``{names}`` and ``*`` match any key.
        kind: one of ``EVENT_KINDS``.
        namespaces: a pattern, ``*`` for all.
    """

    name: str
    pattern: Path
    kind: str
    namespaces: str

    @property
    def url_path(self) -> str:
        """Where the functions emulator takes its events."""
        _, project, _, location, _, key = self.name.split("/")
        del location
        return f"/functions/projects/{project}/triggers/{key}"

    def wants(self, before: Node, after: Node) -> bool:
        """Tell whether a change from ``before`` to ``after`` is of its kind."""
        happened = "created" if before is None else "deleted" if after is None else "updated"
        return self.kind in ("written", happened)


def parse_trigger(value: Any) -> Trigger:
    """Return the trigger in a registration.

    Raises:
        ServiceError: 400 where a field is missing or the event is not of the database.
    """
    try:
        kind = value["event"].removeprefix(EVENT_PREFIX)
        pattern = tuple(part for part in value["path"].split("/") if part)
        trigger = Trigger(value["name"], pattern, kind, value.get("namespacePattern", "*"))
        parts = len(trigger.name.split("/"))
    except (KeyError, TypeError, AttributeError) as problem:
        raise ServiceError(400, "a trigger has name, path and event") from problem
    if kind not in EVENT_KINDS or parts != 6:
        raise ServiceError(400, f"a trigger's event is {EVENT_PREFIX} and one of {', '.join(EVENT_KINDS)}")
    return trigger


def is_wildcard(part: str) -> bool:
    """Tell whether a part of a pattern matches any key."""
    return part == "*" or (part.startswith("{") and part.endswith("}"))


def matches(pattern: Path, change: Change) -> Iterator[Path]:
    """Yield each place that ``pattern`` matches and whose node changed, once."""
    seen: set[Path] = set()
    for written in change.paths:
        depth = min(len(pattern), len(written))
        if any(not is_wildcard(p) and p != k for p, k in zip(pattern[:depth], written[:depth], strict=True)):
            continue
        place = written[:depth]
        for found in _below(pattern[depth:], place, get(change.before, place), get(change.after, place)):
            if found not in seen:
                seen.add(found)
                yield found


def _below(pattern: Path, place: Path, before: Node, after: Node) -> Iterator[Path]:
    if before is after:
        return
    if not pattern:
        if not same(before, after):
            yield place
        return
    left, right = children(before), children(after)
    keys = sorted(changed_keys(left, right)) if is_wildcard(pattern[0]) else [pattern[0]]
    for key in keys:
        yield from _below(pattern[1:], (*place, key), left.get(key), right.get(key))


def delta(before: Node, after: Node) -> Any:
    """Return what an event says of the change: what merged into ``before`` gives ``after``, None for what is gone."""
    if not is_parent(before) or not is_parent(after):
        return after
    return {
        key: delta(before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if not same(before.get(key), after.get(key))
    }


def cloud_event(trigger: Trigger, change: Change, place: Path, host: str) -> dict[str, Any]:
    """Return the structured CloudEvent for one changed node."""
    before, after = get(change.before, place), get(change.after, place)
    location = trigger.name.split("/")[3]
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": f"//firebasedatabase.googleapis.com/projects/_/locations/{location}/instances/{change.namespace}",
        "subject": f"refs/{'/'.join(place)}",
        "type": EVENT_PREFIX + trigger.kind,
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "location": location,
        "instance": change.namespace,
        "ref": "/".join(place),
        "firebasedatabasehost": host,
        "authtype": change.caller.auth_type,
        "data": {"@type": DATA_TYPE, "data": before, "delta": delta(before, after)},
    }
    if change.caller.auth_id is not None:
        event["authid"] = change.caller.auth_id
    return event


class Dispatcher:
    """Delivers events in the background: each once, in no promised order, never failing the write.

    Args:
        functions: ``host:port`` of the functions emulator.
        host: what events name as the database's host.
        in_flight: deliveries at a time for each trigger. The functions emulator starts a Python process for
            every request that finds no idle one: without a bound, a burst of writes starts a crowd of them.
    """

    def __init__(self, functions: str, host: str, in_flight: int) -> None:
        self._functions, self._host, self._in_flight = functions, host, in_flight
        self._triggers: dict[str, tuple[Trigger, asyncio.Semaphore]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def register(self, trigger: Trigger) -> None:
        """Add a trigger, or replace the one with its name."""
        self._triggers[trigger.name] = (trigger, asyncio.Semaphore(self._in_flight))

    @property
    def names(self) -> list[str]:
        """The names of all triggers."""
        return sorted(self._triggers)

    def __call__(self, change: Change) -> None:
        """Queue the events of one write."""
        for trigger, places in self._triggers.values():
            if not fnmatch.fnmatchcase(change.namespace, trigger.namespaces):
                continue
            for place in matches(trigger.pattern, change):
                if trigger.wants(get(change.before, place), get(change.after, place)):
                    event = cloud_event(trigger, change, place, self._host)
                    task = asyncio.create_task(self._deliver(trigger, places, event))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what was not delivered yet."""
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, trigger: Trigger, places: asyncio.Semaphore, event: Mapping[str, Any]) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600))
        url = f"http://{self._functions}{trigger.url_path}"
        headers = {"content-type": "application/cloudevents+json"}
        async with places:
            try:
                async with self._session.post(url, data=json.dumps(event), headers=headers) as answer:
                    if answer.status >= 300:
                        log.warning("%s answered %d to an event of %s", trigger.name, answer.status, event["ref"])
            except aiohttp.ClientError as problem:
                log.warning("%s was not reached: %s", trigger.name, problem)
