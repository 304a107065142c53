"""The ten invariants: what is watched at every step, and what must hold once all is quiet."""

import json
import sys
from collections import Counter

from backend.list_writes import make_list
from backend.rejected import is_same_forged
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.entries import problem_of
from bookrec.errors import BadModel
from bookrec.lease import read_lease
from bookrec.manifest import ITEMS, RECOMMEND_MODEL, parse_pointer, read_manifest
from bookrec.paths import children
from bookrec.reader import LIST
from bookrec.shelf import build_shelf, sort_out
from emulator.tree import get, to_json
from tests.simulation.platform import score_of


class ViolationError(AssertionError):
    """An invariant does not hold; the message begins with its number."""


class Monitor:
    """Watches every change. The numbers are those of the invariants."""

    def __init__(self, world):
        self._world, self._made, self.violations = world, {}, []
        self.last_judged, self.catalogue_changed_at = (0, None), 0
        self.catalogues = []
        self._starts = Counter()

    def found(self, invariant, what):
        self._world.note("VIOLATION", invariant, what)
        self.violations.append((invariant, what))

    # -- told by the actors ------------------------------------------------------------------------------------------

    def judged(self, snapshot_at, rows):
        """A model was judged: the entries of its snapshot count as trained on."""
        self._rows = (snapshot_at, rows)

    def made(self, version, files):
        self._made[version] = files

    def starting(self, run_id, fence):
        database = self._world.platform.database
        self._starts[fence] += 1
        if self._starts[fence] > 1:
            self.found(3, f"two runs were started with fence {fence}")
        if not database.get(paths.CHANGES) and read_lease(database.get(paths.LEASE)).holder == run_id:
            self.found(3, f"{run_id} was started though nothing is to be trained on")

    def loading(self, version, model, items):
        made = self._made.get(version)
        if made is None or (made[RECOMMEND_MODEL], made[ITEMS]) != (model, items):
            self.found(4, f"a model {version} is used that nobody made")

    def removing(self, name):
        pointer = _pointer(self._world.platform.database.get(paths.MODEL))
        if pointer is not None and name.split("/")[1] in pointer.kept:
            self.found(4, f"{name} is removed, though its version is kept")

    # -- told by the database ----------------------------------------------------------------------------------------

    def changed(self, change):
        for path in change.paths:
            if path[0] == paths.ARCHIVE:
                self.catalogue_changed_at = self._world.scheduler.now + 5_000  # as long as it may be cached
                self.catalogues.append(parse_catalogue(to_json(get(change.after, path[:1])) or {})[0])
            elif path[:2] == ("Recommender", "model"):
                self._pointer_changed(*(to_json(get(tree, path[:2])) for tree in (change.before, change.after)))
            elif path == ("Recommender", "lease"):
                self._lease_changed(*(read_lease(to_json(get(tree, path))) for tree in (change.before, change.after)))
            elif path[0] == paths.USERS and path[2:] == (LIST,):
                self._list_changed(path[1], to_json(get(change.after, path)))

    def _pointer_changed(self, before, after):
        old, new = _pointer(before), _pointer(after)
        if new is None:
            self.found(4, "the pointer names no model")
            return
        if old is not None and new.fence <= old.fence:
            self.found(5, f"{new.version} of fence {new.fence} replaced {old.version} of fence {old.fence}")
        is_old = new.version in (old.kept if old else {})
        if old is not None and new.snapshot_at < old.snapshot_at and not is_old:
            self.found(5, f"{new.version} was made from an older snapshot than {old.version}")
        self.check_whole(new)
        if (self._made.get(new.version) or {}).get(RECOMMEND_MODEL, b"broken").startswith(b"broken"):
            self.found(6, f"{new.version} is live, though it does not load")

    def check_whole(self, pointer):
        """Tell whether the pointer names complete files that match."""
        objects = self._world.platform.bucket.objects
        try:
            manifest = read_manifest(pointer.version, objects[pointer.manifest], pointer.manifest_sha256)
            for name, entry in manifest.files.items():
                entry.check(name, objects[paths.model_object(pointer.version, name)])
        except (BadModel, KeyError) as problem:
            self.found(4, f"{pointer.version} is live and not whole: {problem!r}")
            return False
        return True

    def _lease_changed(self, before, after):
        is_early = self._world.scheduler.now + 3_000 < before.expires_at  # clocks differ by so much at most
        if before.holder is not None and after.holder not in (before.holder, None) and is_early:
            self.found(3, f"{after.holder} took the lease that {before.holder} held")
        if after.fence < before.fence:
            self.found(3, f"the fence went back from {before.fence} to {after.fence}")
        if before.holder is not None and after.holder is None and after.outcome in ("published", "refused"):
            snapshot_at, _ = self._rows = getattr(self, "_rows", (0, None))
            if snapshot_at >= self.last_judged[0]:
                self.last_judged = self._rows

    def _list_changed(self, user_id, found):
        if found is None:
            return
        version = found["modelVersion"]
        scores = {int(item["score"]) for item in children(found.get("items")).values() if item["source"] == "personal"}
        if scores - {score_of(version)}:
            self.found(2, f"the list of {user_id} mixes models")


def _pointer(node):
    try:
        return parse_pointer(node)
    except BadModel:
        return None


def check_mild(world):
    """Check what must hold where nothing was lost, before any reconciler has run: events converge by themselves."""
    database, monitor = world.platform.database, world.monitor
    entries, _ = sort_out(database.get(paths.USER_BOOK) or {})
    live = _pointer(database.get(paths.MODEL))
    for user_id in sorted({entry.user_id for entry in entries}):
        found, shelf = database.get(paths.recommendations(user_id)), build_shelf(user_id, entries)
        if found is None:
            continue  # the reader has removed it, or left
        if found["basedOn"]["digest"] != shelf.digest:
            monitor.found(2, f"the events of {user_id} ended in a list of another shelf")
        elif found["modelVersion"] != (live.version if live else "none"):
            # It must be what the live model gives, with the catalogue as it was when that was found.
            given = [make_list(shelf, _model(world, live), catalogue).list_id for catalogue in monitor.catalogues]
            if found["listId"] not in given:
                monitor.found(2, f"the events of {user_id} ended in a list of {found['modelVersion']}")


def _model(world, live):
    """Load what the pointer names."""
    if live is None:
        return None
    objects = world.platform.bucket.objects
    files = [objects[paths.model_object(live.version, name)] for name in (RECOMMEND_MODEL, ITEMS)]
    return world.platform.load(live.version, *files)


def check_all(world):
    """Check what must hold once all is quiet."""
    database, monitor = world.platform.database, world.monitor
    tree = {name: database.get(name) or {} for name in (paths.USER_BOOK, paths.USERS, "Recommender", paths.ARCHIVE)}
    state, nodes = tree["Recommender"], tree[paths.USER_BOOK]
    readers = state.get("readers", {})
    gone = {u for u in readers if not set(tree[paths.USERS].get(u, {})) - {LIST}}
    entries, refused = sort_out(nodes)
    live = _pointer(state.get("model"))
    if live is None or monitor.check_whole(live):
        _check_lists(world, tree, entries, gone, live)
    rows = sorted((e.isbn, e.rating) for e in entries if e.user_id not in gone)
    if state.get("changes"):
        monitor.found(1, f"changes are pending for ever: {sorted(state['changes'])}")
    elif (rows or monitor.last_judged[1]) and [tuple(r) for r in monitor.last_judged[1] or ()] != rows:
        monitor.found(1, f"the last judged model was made from {monitor.last_judged[1]}, the shelves hold {rows}")
    if read_lease(state.get("lease")).holder is not None:
        monitor.found(3, "the lease is still held")
    _check_records(monitor, state, nodes, refused, gone)
    _check_privacy(world, state, gone)
    if "tensorflow" in sys.modules and not world.had_tensorflow:
        monitor.found(10, "the functions' path has imported TensorFlow")


def _check_lists(world, tree, entries, gone, live):
    database, monitor = world.platform.database, world.monitor
    catalogue, _ = parse_catalogue(tree[paths.ARCHIVE])
    model = _model(world, live)
    users = {entry.user_id for entry in entries} | {u for u in tree[paths.USERS] if u not in gone}
    for user_id in sorted(users - gone):
        shelf = build_shelf(user_id, entries)
        expected = make_list(shelf, model, catalogue).to_node(catalogue, None)
        found = database.get(paths.recommendations(user_id))
        if found is None or found["basedOn"]["digest"] != shelf.digest:
            monitor.found(1, f"the list of {user_id} does not follow the shelf")
        elif found["listId"] != expected["listId"] and not _is_settled(found, monitor, live):
            monitor.found(2, f"the list of {user_id} is not the one that the shelf gives: {found['modelVersion']}")
        elif not _is_whole(found, expected, catalogue):
            monitor.found(2, f"the list of {user_id} is not whole")


def _is_settled(found, monitor, live):
    """Tell whether a list stays though the catalogue has other books since: those alone are no reason for another."""
    is_live = live is None or found["modelVersion"] == live.version
    return is_live and found["generatedAt"] <= monitor.catalogue_changed_at


def _is_whole(found, expected, catalogue):
    isbns = [item["isbn"] for item in children(found.get("items")).values()]
    return len(isbns) == len(expected["items"]) and set(isbns) <= set(catalogue)


def _check_records(monitor, state, nodes, refused, gone):
    records = state.get("rejected", {})
    expected = {k: p.reason for k, p in refused.items() if children(nodes[k]).get("userId") not in gone}
    kept = {key: record["reason"] for key, record in records.items() if record["reason"] != "user_forged"}
    if kept != expected:
        monitor.found(8, f"recorded as set aside is {kept}, bad is {expected}")
    if [key for key, record in records.items() if is_same_forged(record, nodes.get(key))]:
        monitor.found(8, "a forged entry is recorded and still there")
    counted = state.get("status", {}).get("rejected") or {}
    if counted != Counter(problem_of(nodes[key]).reason for key in refused):
        monitor.found(8, f"{counted} bad entries were counted, there are {len(refused)}")


def _check_privacy(world, state, gone):
    monitor = world.monitor
    for user_id in sorted(gone):
        if world.platform.database.get(paths.recommendations(user_id)) or user_id in state.get("dirty", {}):
            monitor.found(7, f"{user_id} has left, and traces are there")
    for name, content in sorted(world.platform.bucket.objects.items()):
        if [user_id for user_id in world.user_ids if user_id.encode() in content]:
            monitor.found(9, f"{name} holds a user id")
    for line in world.log:
        if [user_id for user_id in world.user_ids if user_id in line] or [i for i in world.isbns if i in line]:
            monitor.found(7, f"a log line tells of a reader: {line}")


def log_line(message, fields):
    """Return a log line as it would be written."""
    return json.dumps({"message": message, **fields}, default=str)
