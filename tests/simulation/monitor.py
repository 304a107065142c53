"""Watches every step of a history: the invariants that must hold at any time."""

from collections import Counter, defaultdict
from dataclasses import replace

from backend.handlers.model_published import is_queued
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.entries import reader_key
from bookrec.errors import BadModel
from bookrec.life_cycle.lease import read_lease
from bookrec.life_cycle.manifest import ITEMS, MANIFEST, RECOMMEND_MODEL, parse_pointer, read_manifest
from bookrec.paths import children
from bookrec.reader import LIST, SEEN, SHOWN
from bookrec.usage.quality import standing
from bookrec.usage.showings import read_seen
from tests.simulation.platform import score_of

LOST_ARGUMENTS = "the arguments of an operator got lost"
"""The name of a process that must not change anything."""

CLEARED = ("Recommender", "status", "training", "cleared", "changes")


class Monitor:
    """Watches every change. Numbers are those of the invariants.

    Attributes:
        memories: by reader, how often which books were shown, as remembered at any time.
    """

    def __init__(self, world):
        self._world, self._made, self.violations = world, {}, []
        self.last_judged, self.catalogue_changed_at = (0, None), 0
        self.catalogues = []
        self._starts = Counter()
        self._rows, self._refused, self.published = (0, None), set(), {}
        self._listed, self._named = defaultdict(set), defaultdict(set)
        self._showings, self._added = defaultdict(dict), defaultdict(set)
        self._counted = set()
        self.memories = defaultdict(lambda: [{}])

    def violated(self, invariant, what):
        self._world.note("VIOLATION", invariant, what)
        self.violations.append((invariant, what))

    # -- called by the actors ----------------------------------------------------------------------------------------

    def judged(self, snapshot_at, rows):
        """Record that a model has a verdict: the entries of its snapshot count as trained on."""
        self._rows = (snapshot_at, rows)

    def _is_trained_on(self):
        """Take the entries of the last verdict for trained on."""
        if self._rows[0] >= self.last_judged[0]:
            self.last_judged = self._rows

    def refused(self, version):
        """Record that the gate refuses the model, whatever becomes of its run."""
        self._refused.add(fence_of(version))

    def made(self, version, files):
        self._made[version] = files

    def starting(self, run_id, fence):
        database = self._world.platform.database
        self._starts[fence] += 1
        if self._starts[fence] > 1:
            self.violated(3, f"two runs were started with fence {fence}")
        is_asked = self._world.scheduler.current.name == "operator retrains"
        if not is_asked and not database.get(paths.CHANGES) and read_lease(database.get(paths.LEASE)).holder == run_id:
            self.violated(3, f"{run_id} was started though there is nothing to train on")

    def loading(self, version, model, items):
        made = self._made.get(version)
        if made is None or (made[RECOMMEND_MODEL], made[ITEMS]) != (model, items):
            self.violated(4, f"the model {version} is used, but nobody made it")

    def removing(self, name):
        pointer = read_pointer(self._world.platform.database.get(paths.MODEL))
        if pointer is not None and name.split("/")[1] in pointer.kept:
            self.violated(4, f"{name} is removed, though its version is kept")

    # -- called by the database --------------------------------------------------------------------------------------

    def changed(self, write):
        for path in write.paths:
            if path[0] == paths.ARCHIVE:
                self.catalogue_changed_at = self._world.scheduler.now + 5_000  # as long as it may be cached
                self.catalogues.append(parse_catalogue(write.after(path[:1]) or {})[0])
            elif path[:2] == ("Recommender", "model"):
                self._pointer_changed(write.before(path[:2]), write.after(path[:2]))
            elif path[:3] == ("Recommender", "status", "fanout"):
                self._fan_out_changed(children(write.after(path[:3])))
            elif path == CLEARED and write.after(path) == self._rows[0]:
                self._is_trained_on()  # whatever becomes of the run, the marks of these entries go
            elif path == ("Recommender", "lease"):
                self._lease_changed(read_lease(write.before(path)), read_lease(write.after(path)))
            elif path[0] == paths.USERS and path[2:] == (LIST,):
                self._list_changed(path[1], write.before(path), write.after(path))
            if path[0] == paths.USERS and len(path) > 1 and write.after((*path[:2], SEEN)) is None:
                self._added[path[1]].clear()  # with the profile: an event that comes late may add a showing again
            if path[0] == paths.USERS and path[2:3] == (SHOWN,):
                self._shown(path[1], write.after(path[:3]))
            elif path[0] == paths.USERS and path[2:3] == (SEEN,):
                self._remembered(path[1], read_seen(write.before(path[:3])), write.after(path[:3]))
            elif path[0] == paths.USER_BOOK and len(path) > 1:
                self._named[path[1]].add(str(children(write.after(path[:2])).get("isbn")))
            elif path[:2] == ("Recommender", "shelvings") and path[4:5] == ("shown",) and len(path) > 5:
                self._counted.add((path[2], path[3], path[5]))
            elif path[:2] == ("Recommender", "shelvings") and path[4:5] == ("hits",):
                self._hit_noted(*path[2:4], path[5], write.after(path[:6]))

    def _pointer_changed(self, before, after):
        old, new = read_pointer(before), read_pointer(after)
        if getattr(self._world.scheduler.current, "name", None) == LOST_ARGUMENTS:
            self.violated(2, "arguments that got lost have changed the pointer")
        if new is None:
            self.violated(4, "the pointer names no model")
            return
        if after.get("experiment") and new.experiment is None:
            self.violated(4, f"the pointer of {new.version} names an experiment whose model it does not vouch for")
        is_switch = old is not None and _without_experiment(old) == _without_experiment(new)
        if old is not None and new.fence <= old.fence and not is_switch:
            self.violated(5, f"{new.version} of fence {new.fence} replaced {old.version} of fence {old.fence}")
        is_old = new.version in (old.kept if old else {})
        if old is not None and new.snapshot_at < old.snapshot_at and not is_old:
            self.violated(5, f"{new.version} was made from an older snapshot than {old.version}")
        if is_switch and new.publication == old.publication:
            self.violated(2, f"no list follows the experiment of {new.publication}")
        if fence_of(new.version) == new.fence:
            self.published[new.fence] = new.version
        self.check_whole(new)
        if (self._made.get(new.version) or {}).get(RECOMMEND_MODEL, b"broken").startswith(b"broken"):
            self.violated(6, f"{new.version} is live, though it does not load")

    def check_whole(self, pointer):
        """Return whether the pointer names complete, matching files, for an experiment's model too."""
        objects, versions = self._world.platform.bucket.objects, {pointer.version: pointer.manifest_sha256}
        if pointer.experiment:
            versions[pointer.experiment.version] = pointer.kept[pointer.experiment.version]
        try:
            for version, digest in versions.items():
                manifest = read_manifest(version, objects[paths.model_object(version, MANIFEST)], digest)
                for name, entry in manifest.files.items():
                    entry.check(name, objects[paths.model_object(version, name)])
        except (BadModel, KeyError) as problem:
            self.violated(4, f"{version} is live and not complete: {problem!r}")
            return False
        return True

    def _lease_changed(self, before, after):
        is_early = self._world.scheduler.now + 3_000 < before.expires_at  # clocks differ by at most this
        if before.holder is not None and after.holder not in (before.holder, None) and is_early:
            self.violated(3, f"{after.holder} took the lease that {before.holder} held")
        if after.fence < before.fence:
            self.violated(3, f"the fence went back from {before.fence} to {after.fence}")
        if before.holder in (None, after.holder):
            return
        outcome = lambda lease: (lease.outcome, lease.failures, lease.failed_at)  # noqa: E731
        if not before.is_for_training and outcome(before) != outcome(after):
            self.violated(
                3, f"{before.holder} ended, and counts as a training run: {outcome(before)}, {outcome(after)}"
            )
        is_judged = before.fence in (self.published if after.outcome == "published" else self._refused)
        if after.outcome in ("published", "refused") and is_judged:
            self._is_trained_on()

    def _fan_out_changed(self, state):
        publication = state.get("publication")
        missing = set(range(state.get("shards", 0))) - self._world.platform.fan_outs[publication]
        if is_queued(state) and missing:
            self.violated(2, f"the fan-out of {publication} counts as queued without the tasks of {sorted(missing)}")

    def _list_changed(self, user_id, before, node):
        if node is None:
            return
        if before is not None and _identity(before) == _identity(node) and before["listId"] != node["listId"]:
            self.violated(2, f"the list of {user_id} has a new id and the same books")
        is_new = children(before).get("listId") != node["listId"]
        if is_new and self._has_events and not self._row(user_id, "made", node["listId"]):
            self.violated(2, f"{user_id} has a new list, and no event says so")
        version, items = node["modelVersion"], children(node.get("items"))
        self._listed[user_id].update(
            (version, item["isbn"], position, item["source"]) for position, item in enumerate(items.values(), 1)
        )
        scores = {int(item["score"]) for item in items.values() if item["source"] == "personal"}
        if scores - {score_of(version)}:
            self.violated(2, f"the list of {user_id} mixes models")

    def _shown(self, user_id, node):
        if node is not None:
            listed = self._world.platform.database.get(paths.recommendations(user_id))
            isbns = {item["isbn"] for item in children(listed.get("items")).values()}
            self._showings[user_id][node["at"]] = (node["listId"], isbns)

    def _remembered(self, user_id, before, node):
        """Check that a showing is added once, in the order of time, and only once it is counted."""
        seen, showings = read_seen(node), self._showings[user_id]
        if node is None or seen == before:
            return
        self.memories[user_id].append(dict(seen.books))
        list_id, isbns = showings.get(seen.at, (None, set()))
        if list_id is None or list_id != seen.last:
            self.violated(2, f"a showing to {user_id} is remembered that has never been")
        if seen.at in self._added[user_id] or seen.at <= before.at:
            self.violated(2, f"a showing to {user_id} is remembered twice, or after a later one")
        if seen.lists != before.counted(seen.version) + 1:
            self.violated(2, f"{seen.lists} lists of {seen.version} were shown to {user_id}, says a showing")
        most = {isbn: before.books.get(isbn, 0) + (isbn in isbns) for isbn in seen.books}
        if [isbn for isbn, number in seen.books.items() if number > most[isbn] + 0.001] or not isbns >= {
            isbn for isbn in seen.books if seen.books[isbn] > before.books.get(isbn, 0)
        }:
            self.violated(2, f"a showing to {user_id} is remembered as several")
        self._added[user_id].add(seen.at)
        database = self._world.platform.database
        is_counted = (user_id, seen.version, seen.last) in self._counted  # it may be gone again, with the reader
        is_open = seen.version in standing(read_pointer(database.get(paths.MODEL))).open
        if is_open and not is_counted:
            self.violated(2, f"a showing of a list of {seen.version} to {user_id} is remembered and not counted")

    @property
    def _has_events(self):
        return self._world.platform.has_events and self._world.scheduler.current is not None

    def _row(self, user_id, kind, part):
        """Return whether there is an event of a kind of a reader, with this part in its id."""
        start = f"{reader_key(user_id)}-{kind}-"
        days = children(self._world.platform.database.get(paths.EVENTS)).values()
        return any(name.startswith(start) and part in name for day in days for name in children(day))

    def _hit_noted(self, user_id, label, key, hit):
        """Check that the entry's book was at that place on a list of that model, or of any model in an experiment."""
        place = (hit.get("position"), hit.get("source")) if hit else None
        is_experiment = label.startswith("ab-")
        rows = self._listed[user_id]
        isbns = {isbn for version, isbn, *at in rows if tuple(at) == place and (is_experiment or version == label)}
        if hit and self._has_events and not self._row(user_id, "taken", key):
            self.violated(2, f"{user_id} took {key} from a list, and no event says so")
        if hit and hit.get("shown"):
            counted = self._world.platform.database.get(f"{paths.CONVERSIONS}/{user_id}/{label}/shown")
            if not set(children(counted)) & {list_id for list_id, _ in self._showings[user_id].values()}:
                self.violated(
                    2, f"a hit of {user_id} is on a list of {label} that counts as shown, and none is counted"
                )
        if hit and not isbns & self._named[key]:
            self.violated(2, f"a hit says that {user_id} shelved {key} from place {place} of a list of {label}")


def fence_of(version):
    """Return the fence of the run that made a version."""
    return int(version.rpartition("-")[2])


def _identity(node):
    return node["basedOn"]["digest"], [item["isbn"] for item in children(node.get("items")).values()]


def _without_experiment(pointer):
    return replace(pointer, experiment=None, switches=0)


def read_pointer(node):
    """Return the pointer; a damaged one counts as none."""
    try:
        return parse_pointer(node)
    except BadModel:
        return None
