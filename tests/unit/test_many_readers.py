"""The memory that the ids of all readers take: a fan-out without shards reads all at once."""

import json
import tracemalloc

from bookrec import paths
from bookrec_database.database import FirebaseDatabase

READERS = 50_000


class Keys:
    """The reference of a node with a key of 28 characters, as Firebase Authentication makes them, for each reader."""

    def __init__(self, path):
        assert path == paths.USERS

    def get(self, shallow):
        assert shallow
        body = b"{" + b",".join(b'"%028d":true' % number for number in range(READERS)) + b"}"
        assert len(body) == 36 * READERS + 1
        return json.loads(body.decode())  # as the client of the SDK does


def test_the_ids_of_all_readers_take_a_few_hundred_bytes_each():
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        FirebaseDatabase(Keys, None).user_ids()
        taken = (tracemalloc.get_traced_memory()[1] - before) / READERS
    finally:
        tracemalloc.stop()
    assert taken < 300, taken
