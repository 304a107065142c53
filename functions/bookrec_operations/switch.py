"""The commit point of a publish and of a rollback."""

from __future__ import annotations

from bookrec.errors import BadModel, LeaseLost
from bookrec.life_cycle.manifest import Pointer, parse_pointer, usable_pointer
from bookrec.life_cycle.publishing import next_pointer
from bookrec_operations.ports import Database


def switch(database: Database, pointer: Pointer, *, is_rollback: bool = False) -> Pointer:
    """Make a version live; return the pointer as it is now.

    Raises:
        LeaseLost, BadModel: as ``bookrec.life_cycle.publishing.next_pointer`` does.
    """
    try:
        node = database.change_pointer(lambda present: next_pointer(present, pointer, is_rollback=is_rollback))
        return parse_pointer(node) or pointer
    except (LeaseLost, BadModel):
        raise
    except Exception:
        live = usable_pointer(database.pointer())  # the answer may have been lost on its way back
        if live is None or live.fence != pointer.fence:
            raise
        return live
