"""The commit point of a publish and of a rollback."""

from __future__ import annotations

from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import Pointer, parse_pointer, usable_pointer
from bookrec.life_cycle.publishing import next_pointer
from bookrec_operations.ports import Database


def switch(database: Database, pointer: Pointer, *, is_rollback: bool = False) -> Pointer:
    """Make a version live; return the pointer as it is now.

    If the answer to the write got lost, any error may follow, even ``LeaseLost``: the client repeats the write on its
    own, and then finds its own pointer. So after an error, the pointer says whether the version is live.

    Raises:
        LeaseLost, BadModel: as ``bookrec.life_cycle.publishing.next_pointer`` does.
    """
    try:
        node = database.change_pointer(lambda present: next_pointer(present, pointer, is_rollback=is_rollback))
        return parse_pointer(node) or pointer
    except BadModel:
        raise
    except Exception:
        live = usable_pointer(database.pointer())
        if live is None or (live.version, live.fence) != (pointer.version, pointer.fence):
            raise
        return live
