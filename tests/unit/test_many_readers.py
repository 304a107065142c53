"""The memory that the ids of all readers take: a fan-out without shards and the end of a sweep read all at once."""

import json
import tracemalloc

import pytest

from backend.sweep import Sweep
from bookrec import paths
from bookrec_database.database import FirebaseDatabase

READERS = 50_000


class Keys:
    """The reference of a node with a key of 28 characters, as Firebase Authentication makes them, for each reader."""

    def __init__(self, path):
        assert path in (paths.USERS, paths.MORE_LISTS)

    def get(self, shallow):
        assert shallow
        body = b"{" + b",".join(b'"%028d":true' % number for number in range(READERS)) + b"}"
        assert len(body) == 36 * READERS + 1
        return json.loads(body.decode())  # as the client of the SDK does


@pytest.mark.parametrize(
    ("read", "most_bytes"),
    [
        (lambda database: database.user_ids(), 300),
        (lambda database: Sweep(database, None, None, None, None).remove_left_more_lists(), 450),
    ],
)
def test_the_ids_of_all_readers_take_a_few_hundred_bytes_each(read, most_bytes):
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        read(FirebaseDatabase(Keys, None))
        taken = (tracemalloc.get_traced_memory()[1] - before) / READERS
    finally:
        tracemalloc.stop()
    assert taken < most_bytes, taken
