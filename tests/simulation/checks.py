"""The ten invariants: what is watched at every step, and what must hold once all is quiet."""

import json
import sys
from collections import Counter, defaultdict
from dataclasses import replace

from backend.list_writes import make_list
from backend.rejected import is_same_forged
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.entries import problem_of
from bookrec.errors import BadModel
from bookrec.lease import read_lease
from bookrec.manifest import ITEMS, MANIFEST, RECOMMEND_MODEL, parse_pointer, read_manifest
from bookrec.paths import children
from bookrec.quality import is_final
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
        self._listed, self._named = defaultdict(set), defaultdict(set)

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
        is_asked = self._world.scheduler.current.name == "operator retrains"
        if not is_asked and not database.get(paths.CHANGES) and read_lease(database.get(paths.LEASE)).holder == run_id:
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
            elif path[0] == paths.USER_BOOK and len(path) > 1:
                self._named[path[1]].add(str(children(to_json(get(change.after, path[:2]))).get("isbn")))
            elif path[:2] == ("Recommender", "shelvings") and path[4:5] == ("hits",):
                self._hit_noted(*path[2:4], path[5], to_json(get(change.after, path)))

    def _pointer_changed(self, before, after):
        old, new = _pointer(before), _pointer(after)
        if new is None:
            self.found(4, "the pointer names no model")
            return
        if after.get("experiment") and new.experiment is None:
            self.found(4, f"the pointer of {new.version} names an experiment with a model that it does not vouch for")
        is_switch = old is not None and _without_experiment(old) == _without_experiment(new)
        if old is not None and new.fence <= old.fence and not is_switch:
            self.found(5, f"{new.version} of fence {new.fence} replaced {old.version} of fence {old.fence}")
        is_old = new.version in (old.kept if old else {})
        if old is not None and new.snapshot_at < old.snapshot_at and not is_old:
            self.found(5, f"{new.version} was made from an older snapshot than {old.version}")
        if is_switch and new.publication == old.publication:
            self.found(2, f"no list follows the experiment of {new.publication}")
        self.check_whole(new)
        if (self._made.get(new.version) or {}).get(RECOMMEND_MODEL, b"broken").startswith(b"broken"):
            self.found(6, f"{new.version} is live, though it does not load")

    def check_whole(self, pointer):
        """Tell whether the pointer names complete files that match, of an experiment's model too."""
        objects, versions = self._world.platform.bucket.objects, {pointer.version: pointer.manifest_sha256}
        if pointer.experiment:
            versions[pointer.experiment.version] = pointer.kept[pointer.experiment.version]
        try:
            for version, digest in versions.items():
                manifest = read_manifest(version, objects[paths.model_object(version, MANIFEST)], digest)
                for name, entry in manifest.files.items():
                    entry.check(name, objects[paths.model_object(version, name)])
        except (BadModel, KeyError) as problem:
            self.found(4, f"{version} is live and not whole: {problem!r}")
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
        version, items = found["modelVersion"], children(found.get("items"))
        self._listed[user_id].update(
            (version, item["isbn"], position, item["source"]) for position, item in enumerate(items.values(), 1)
        )
        scores = {int(item["score"]) for item in items.values() if item["source"] == "personal"}
        if scores - {score_of(version)}:
            self.found(2, f"the list of {user_id} mixes models")

    def _hit_noted(self, user_id, label, key, hit):
        """A hit is an entry whose book stood at that place on a list of that model, or of any in an experiment."""
        place = (hit["position"], hit["source"]) if hit else None
        is_experiment = label.startswith("ab-")
        rows = self._listed[user_id]
        stood = {isbn for version, isbn, *at in rows if tuple(at) == place and (is_experiment or version == label)}
        if hit and not stood & self._named[key]:
            self.found(2, f"{user_id} is said to have shelved {key} from place {place} of a list of {label}")


def _without_experiment(pointer):
    return replace(pointer, experiment=None, switches=0)


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
    model_of = _models(world, live)
    for user_id in sorted({entry.user_id for entry in entries}):
        found, shelf = database.get(paths.recommendations(user_id)), build_shelf(user_id, entries)
        if found is None:
            continue  # the reader has removed it, or left
        if found["basedOn"]["digest"] != shelf.digest:
            monitor.found(2, f"the events of {user_id} ended in a list of another shelf")
        elif found["modelVersion"] != _version_of(live, user_id):
            # It must be what the reader's model gives, with the catalogue as it was when that was found.
            given = [make_list(shelf, model_of(user_id), catalogue).list_id for catalogue in monitor.catalogues]
            if found["listId"] not in given:
                monitor.found(2, f"the events of {user_id} ended in a list of {found['modelVersion']}")


def _version_of(live, user_id):
    """Return which version's list a reader is to have."""
    if live is None:
        return "none"
    is_in_b = live.experiment is not None and live.experiment.arm(user_id) == "b"
    return live.experiment.version if is_in_b else live.version


def _models(world, live):
    """Return what loads the model of a reader's arm."""
    objects, loaded = world.platform.bucket.objects, {"none": None}

    def model_of(user_id):
        version = _version_of(live, user_id)
        if version not in loaded:
            files = [objects[paths.model_object(version, name)] for name in (RECOMMEND_MODEL, ITEMS)]
            loaded[version] = world.platform.load(version, *files)
        return loaded[version]

    return model_of


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
    _check_quality(monitor, state, tree[paths.USERS])
    _check_privacy(world, state, gone)
    if "tensorflow" in sys.modules and not world.had_tensorflow:
        monitor.found(10, "the functions' path has imported TensorFlow")


def _check_lists(world, tree, entries, gone, live):
    database, monitor = world.platform.database, world.monitor
    catalogue, _ = parse_catalogue(tree[paths.ARCHIVE])
    model_of = _models(world, live)
    users = {entry.user_id for entry in entries} | {u for u in tree[paths.USERS] if u not in gone}
    for user_id in sorted(users - gone):
        shelf = build_shelf(user_id, entries)
        expected = make_list(shelf, model_of(user_id), catalogue).to_node(catalogue, None)
        found = database.get(paths.recommendations(user_id))
        if found is None or found["basedOn"]["digest"] != shelf.digest:
            monitor.found(1, f"the list of {user_id} does not follow the shelf")
        elif found["listId"] != expected["listId"] and not _is_settled(found, monitor, _version_of(live, user_id)):
            monitor.found(2, f"the list of {user_id} is not the one that the shelf gives: {found['modelVersion']}")
        elif not _is_whole(found, expected, catalogue):
            monitor.found(2, f"the list of {user_id} is not whole")


def _is_settled(found, monitor, version):
    """Tell whether a list stays though the catalogue has other books since: those alone are no reason for another."""
    is_right = version in ("none", found["modelVersion"])
    return is_right and found["generatedAt"] <= monitor.catalogue_changed_at


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


def _check_quality(monitor, state, users):
    """What was counted is what is noted, each once; who left is not among it."""
    noted = state.get("shelvings", {})
    if strangers := sorted(noted.keys() - users.keys()):
        monitor.found(7, f"{strangers} have left, and what they shelved is still noted")
    figures = children(children(state.get("status", {}).get("quality")).get("labels"))
    rows = [(label, node) for labels in noted.values() for label, node in labels.items()]
    for label in sorted({label for label, _ in rows}):
        counted = figures.get(label)
        if is_final(counted):
            continue  # the next sweep removes it
        hits = [len(children(node.get("hits"))) for name, node in rows if name == label]
        expected = (len(hits), sum(map(bool, hits)), sum(hits))
        if counted is None or (counted["readers"], counted["hitReaders"], counted["hits"]) != expected:
            monitor.found(2, f"of {label} {expected} is noted, and {counted} was counted")


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
