"""The events that functions get: what changed at one place, and who changed it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rtdb_emulator.data.children import changed_keys
from rtdb_emulator.data.keys import Path
from rtdb_emulator.data.tree import Node, bare, get, is_parent, same, to_json
from rtdb_emulator.database.changes import Change
from rtdb_emulator.triggers.trigger import Trigger

DATA_TYPE = "type.googleapis.com/google.events.firebase.database.v1.ReferenceEventData"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place that a write changed; small, however large the node there is.

    Attributes:
        id: what repeated deliveries of it share.
        at: when it happened.
    """

    change: Change
    place: Path
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def event(self, trigger: Trigger, host: str) -> dict[str, Any]:
        """Return the structured CloudEvent, or the event that functions of the first generation take.

        ``host`` is what the event names as the database's host.
        """
        if trigger.is_legacy:
            return self._legacy_event(trigger)
        change, ref = self.change, "/".join(self.place)
        data, delta = difference(get(change.before, self.place), get(change.after, self.place))
        location = trigger.location
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"//firebasedatabase.googleapis.com/projects/_/locations/{location}/instances/{change.namespace}",
            "subject": f"refs/{ref}",
            "type": trigger.event_type,
            "time": self._time,
            "datacontenttype": "application/json",
            "location": location,
            "instance": change.namespace,
            "ref": ref,
            "firebasedatabasehost": host,
            "authtype": change.caller.auth_type,
            "data": {"@type": DATA_TYPE, "data": data, "delta": delta},
        }
        if change.caller.auth_id is not None:
            event["authid"] = change.caller.auth_id
        return event

    @property
    def _time(self) -> str:
        return self.at.isoformat().replace("+00:00", "Z")

    def _legacy_event(self, trigger: Trigger) -> dict[str, Any]:
        """Return the event of a function of the first generation.

        Source: what firebase-functions for Node reads of it (``v1/cloud-functions`` and ``v1/providers/database``).
        """
        change, caller = self.change, self.change.caller
        data, delta = difference(get(change.before, self.place), get(change.after, self.place))
        name = f"projects/_/instances/{change.namespace}/refs/{'/'.join(self.place)}"
        context: dict[str, Any] = {
            "eventId": self.id,
            "timestamp": self._time,
            "eventType": trigger.event_type,
            "resource": {"service": "firebaseio.com", "name": name},
            "domain": "firebaseio.com",
            "auth": {"admin": caller.is_admin, **({"variable": caller.auth} if caller.auth else {})},
        }
        return {"context": context, "data": {"data": data, "delta": delta}}


def difference(before: Node, after: Node) -> tuple[Any, Any]:
    """Return the JSON values before and of the change, which merged into each other give the one after.

    In the change, None means removed. A value that is read as an array is given whole, since nothing can be merged
    into an array; if an array becomes an object, the value before is given as an object too.
    """
    before, after = bare(before), bare(after)
    if not is_parent(before) or not is_parent(after):
        return to_json(before), to_json(after)
    whole = to_json(after)
    if isinstance(whole, list):
        return to_json(before), whole
    touched = changed_keys(before, after)
    data = {key: to_json(child) for key, child in before.items() if key not in touched}
    delta: dict[str, Any] = {}
    for key in sorted(touched):
        old, new = before.get(key), after.get(key)
        if same(old, new):
            data[key] = to_json(old)
            continue
        was, delta[key] = difference(old, new)
        if was is not None:
            data[key] = was
    return data, delta
