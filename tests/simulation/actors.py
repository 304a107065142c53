"""The actors of a simulated world: readers, a librarian, phones, the trainer, and an operator."""

import hashlib
import json
import random
from contextlib import suppress
from dataclasses import replace

from backend.handlers.entry_written import EntryWritten
from bookrec import paths
from bookrec.errors import BadModel, BookrecError
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL, parse_pointer, read_manifest
from bookrec.paths import children
from bookrec.push_keys import first_key
from bookrec.recommender import Items
from bookrec.reordering.diversity import Diversity
from bookrec.server_values import TIMESTAMP, increment
from bookrec.usage.dismissed import MAX_AGE_MS, MAX_AHEAD_MS
from bookrec_database.database import FirebaseDatabase
from bookrec_operations.release import release
from bookrec_operations.rollback import roll_back
from rtdb_emulator.testing import ADMIN, PermissionDeniedError, user
from tests.fakes import database_of
from tests.simulation.monitor import LOST_ARGUMENTS
from trainer import run
from trainer.run import Product, RefusedModelError, Services

BEGIN_MS = 1_700_000_000_000
STRANGER = "reader-of-another-database"

BAD = [
    {"myRate": 9}, {"myRate": "five"}, {"isbn": None}, {"isbn": "\N{DRAGON}"}, {"extra": 1}, {"userId": "a.b"},
]  # fmt: skip


DEADLY = [f"deadly-{number}" for number in range(8)]
"""The books of the reader whose lists nobody survives."""


class Reader:
    """One reader with the app: signs up, shelves, rates, removes, leaves, comes back."""

    def __init__(self, world, uid):
        self._world, self.uid, self._keys, self._is_spoiled = world, uid, [], False
        self._rng = random.Random(f"{world.seed}: {uid} looks")
        self._isbns = DEADLY if uid == world.deadly else world.isbns

    def write(self, values, *, admin=False):
        caller = ADMIN if admin else user(self.uid)
        self._world.note(self.uid, "writes", json.dumps(values)[:200])
        self._world.platform.database.update(values, caller)

    def live(self):
        """Act until the day is over."""
        world, rng = self._world, self._world.rng
        if rng.random() < 0.8:
            self.sign_up()
        while True:
            world.scheduler.sleep(int(rng.expovariate(1 / 60_000)) if rng.random() < 0.7 else rng.randrange(300))
            if not world.is_day:
                return
            try:
                self.look()
                self._act(rng.random() * (0.62 if self.uid == world.deadly else 1))
            except PermissionDeniedError:
                if not world.are_writes_counted:
                    raise
                self._world.note(self.uid, "is paused")

    def look(self):
        """Look at the list, or not; the app says once of each list that it was shown."""
        rng, database = self._rng, self._world.platform.database
        if rng.random() < 0.4:
            return
        list_id = database.get(f"{paths.recommendations(self.uid)}/listId")
        if list_id and list_id != database.get(f"{paths.USERS}/{self.uid}/shown/listId"):
            self.write({f"{paths.USERS}/{self.uid}/shown": {"listId": list_id, "at": dict(TIMESTAMP)}})

    def _act(self, chance):
        rng = self._world.rng
        if chance < 0.45 or not self._keys:
            self.shelve()
        elif chance < 0.62:
            self.write({f"{paths.USER_BOOK}/{rng.choice(self._keys)}/myRate": rng.randrange(11) / 2})
        elif chance < 0.68:
            self.write({f"{paths.USER_BOOK}/{rng.choice(self._keys)}/isbn": rng.choice(self._isbns)})
        elif chance < 0.80:
            self.write({f"{paths.USER_BOOK}/{self._keys.pop(rng.randrange(len(self._keys)))}": None})
        elif chance < 0.88:
            self._spoil()
        elif chance < 0.91:
            self.write({paths.recommendations(self.uid): None})
        elif chance < 0.94:
            self.leave()
        elif chance < 0.97:
            self.sign_up()
        else:
            self.attack()

    def dismiss_now_and_then(self):
        """Dismiss books, mostly from the list, and take it back, until the day is over."""
        world, rng = self._world, self._world.rng
        while True:
            world.scheduler.sleep(int(rng.expovariate(1 / 60_000)) if rng.random() < 0.6 else rng.randrange(300))
            if not world.is_day:
                return
            own = children(world.platform.database.get(paths.dismissed(self.uid)))
            chance = rng.random()
            try:
                if own and chance < 0.4:
                    self._dismiss(rng.choice(sorted(own)), None, -1)
                elif chance < 0.9:
                    self._dismiss(self._unwanted(own), TIMESTAMP, 1)
                else:
                    self._spoil_dismissals(own)
            except PermissionDeniedError:
                # Only who is paused, or of whom somebody else has written dismissals, may be denied a right update.
                if not (world.are_writes_counted or self._is_spoiled):
                    raise
                world.note(self.uid, "may not dismiss")

    def _dismiss(self, key, at, step):
        count = {f"{paths.dismissals(self.uid)}/count": increment(step), f"{paths.dismissals(self.uid)}/last": key}
        self.write({f"{paths.dismissed(self.uid)}/{key}": at, **count})

    def _unwanted(self, own):
        """Return the key of a book to dismiss: one of the list, or any."""
        world = self._world
        items = children(children(world.platform.database.get(paths.recommendations(self.uid))).get("items"))
        listed = [paths.book_key(item["isbn"]) for item in items.values()]
        known = listed if listed and world.rng.random() < 0.8 else [paths.book_key(isbn) for isbn in world.isbns]
        return world.rng.choice([key for key in known if key not in own] or ["isbn-of-no-book"])

    def _spoil_dismissals(self, own):
        """Write what the rules deny, as an import may: bad and old dismissals, and a wrong count."""
        world, rng = self._world, self._world.rng
        self._is_spoiled = True
        node, now = paths.dismissed(self.uid), world.scheduler.now
        old = now - MAX_AGE_MS - (10_000 if world.is_mild else rng.randrange(-300_000, 300_000))
        isbn = paths.book_key(rng.choice(world.isbns))
        values = rng.choice([{f"{node}/{isbn}": old}, {f"{node}/{isbn}": "x"}, {f"{node}/!": now},
                             {f"{node}/{isbn}": now + 10 * MAX_AHEAD_MS},
                             {f"{paths.dismissals(self.uid)}/count": rng.randrange(4)}])  # fmt: skip
        self.write(values, admin=True)

    def sign_up(self):
        self.write({f"{paths.USERS}/{self.uid}": {"id": self.uid, "firstname": "A", "lastname": "B"}})

    def shelve(self, **changes):
        rng = self._world.rng
        key = first_key(self._world.scheduler.now) + "".join(rng.choices("abcdefghij", k=12))
        entry = {"userId": self.uid, "bookId": f"b-{key}", "isbn": rng.choice(self._isbns)}
        self.write(
            {f"{paths.USER_BOOK}/{key}": {**entry, "myRate": rng.randrange(11) / 2, **changes}}, admin=bool(changes)
        )
        self._keys.append(key)

    def _spoil(self):
        """Write an invalid entry past the rules, as an import or an old app may."""
        rng = self._world.rng
        bad = rng.choice(BAD)
        if rng.random() < 0.5:
            self.shelve(**bad)
            if "userId" in bad:
                self._keys.pop()
        else:
            key = rng.choice(self._keys)
            self.write({f"{paths.USER_BOOK}/{key}/myRate": 7}, admin=True)

    def import_in_steps(self):
        """Bring a shelf from elsewhere, as the page does: several entries an update, some updates sent once more."""
        world, rng = self._world, random.Random(f"{self._world.seed}: {self.uid} imports")
        world.scheduler.sleep(rng.randrange(600_000))
        for _ in range(rng.randrange(1, 4)):
            nodes = {}
            for _ in range(5):
                key = first_key(world.scheduler.now) + "".join(rng.choices("abcdefghij", k=12))
                isbn, stars = rng.choice(self._isbns), rng.randrange(11) / 2
                nodes[f"{paths.USER_BOOK}/{key}"] = {
                    "userId": self.uid, "bookId": f"b-{key}", "isbn": isbn, "myRate": stars,
                }  # fmt: skip
            for _ in range(2 if rng.random() < 0.3 else 1):
                if not world.is_day:
                    return
                try:
                    self.write(nodes)
                except PermissionDeniedError:
                    if not world.are_writes_counted:
                        raise
                    world.note(self.uid, "is paused")
                world.scheduler.sleep(6_000)
            self._keys += [path.rpartition("/")[2] for path in nodes]

    def import_shelf(self, number):
        """Add entries that are older than all others, a few of the last ones bad, without an event of any."""
        nodes = {}
        for n in range(number):
            key = first_key(BEGIN_MS - 10 * number + 10 * n) + "imported0000"
            stars = 9 if n % 7 == 3 and n > number - 70 else n % 6
            isbn = self._world.isbns[n % len(self._world.isbns)]
            nodes[f"{paths.USER_BOOK}/{key}"] = {"userId": self.uid, "bookId": "b", "isbn": isbn, "myRate": stars}
        self._world.platform.database.update(nodes)
        self._keys += [path.rpartition("/")[2] for path in list(nodes)[-5:]]

    def leave(self):
        """Delete the account; the app may or may not remove the entries."""
        self.write({f"{paths.USERS}/{self.uid}": None})
        if self._world.rng.random() < 0.5:
            for key in self._keys:
                self.write({f"{paths.USER_BOOK}/{key}": None})
            self._keys.clear()

    def attack(self):
        """Try writes that the rules deny."""
        other = self._world.rng.choice([u for u in self._world.user_ids if u != self.uid])
        forged = {"userId": other, "bookId": "b", "isbn": self._world.isbns[0], "myRate": 5}
        for values in (
            {f"{paths.USER_BOOK}/forged": forged},
            {paths.recommendations(other): {"listId": "forged"}},
            {paths.recommendations(self.uid): {"listId": "forged"}},
            {paths.more_lists(self.uid): {"listId": "forged"}},
            {f"{paths.SHARED_LISTS}/trending": {"generatedAt": 0}},
            {f"{paths.MODEL}/version": "forged"},
            {f"{paths.dismissed(other)}/forged": TIMESTAMP},
            {f"{paths.dismissed(self.uid)}/forged": TIMESTAMP},
            {f"{paths.dismissed(self.uid)}/forged": 5, f"{paths.dismissals(self.uid)}/count": increment(1)},
        ):
            with suppress(PermissionDeniedError):
                self.write(values)
                self._world.monitor.violated(7, f"{self.uid} may write {next(iter(values))}")


def stranger(world):
    """Write to a database instance of the same project that nobody has configured."""
    while True:
        world.scheduler.sleep(int(world.rng.expovariate(1 / 100_000)))
        if not world.is_day:
            return
        value = {"userId": STRANGER, "bookId": "b", "isbn": world.rng.choice(world.isbns), "myRate": 4}
        event = EntryWritten("of another", "of-another", None, value, STRANGER)
        world.platform.of_another_database(event, ("of-another@1", 0, [STRANGER]))


def librarian(world):
    """Change the catalogue from time to time: books go and come, titles and covers are corrected."""
    while True:
        world.scheduler.sleep(int(world.rng.expovariate(1 / 250_000)))
        if not world.is_day:
            return
        change_catalogue(world)


def change_catalogue(world):
    """Correct a title or a cover, or take a book out of the catalogue, or put it back."""
    number, database = world.rng.randrange(len(world.isbns)), world.platform.database
    path = f"{paths.ARCHIVE}/a{number:03}"
    is_there, chance = database.get(path) is not None, world.rng.random()
    if is_there and chance < 0.4:  # a title that another book has makes the two editions of one
        database.update({path: world.book(number, f"Title {world.rng.randrange(20)}")})
    elif is_there and chance < 0.6:
        database.update({f"{path}/image": f"https://covers.example/{world.rng.randrange(1_000)}"})
    else:
        database.update({path: None if is_there else world.book(number)})


def phone(world):
    """Download the live model slowly; its files must be complete until the download ends."""
    while True:
        world.scheduler.sleep(int(world.rng.expovariate(1 / 300_000)))
        if not world.is_day:
            return
        pointer = parse_pointer(world.platform.database.get(paths.MODEL))
        if pointer is None:
            continue
        try:
            objects = world.platform.bucket.objects
            manifest = read_manifest(pointer.version, objects[pointer.manifest], pointer.manifest_sha256)
            for name, entry in manifest.files.items():
                world.scheduler.sleep(world.rng.randrange(30_000))
                entry.check(name, objects[paths.model_object(pointer.version, name)])
        except (BadModel, KeyError) as problem:
            world.monitor.violated(4, f"a download of {pointer.version} broke: {problem!r}")


class Trainer:
    """The trainer's real run, with a model that is made at once and contains a digest of its data."""

    def __init__(self, world):
        self._world, self._runs, self.is_uploading = world, 0, False

    def services(self, instance):
        """Return the services for a process."""
        world = self._world

        def heart(beat, every_s):
            state = {"stopped": False, "busy": False}

            def life():
                while True:
                    world.scheduler.sleep(int(every_s * 1000))
                    if state["stopped"]:
                        return
                    state["busy"] = True
                    goes_on = beat()
                    state["busy"] = False
                    if not goes_on:
                        return

            world.scheduler.spawn("heart", life, instance)

            def stop():
                state["stopped"] = True
                world.scheduler.wait(lambda: not state["busy"])

            return stop

        platform = world.platform
        database = FirebaseDatabase(platform.database.reference, platform.concurrently)
        skew_ms = world.rng.randrange(-1_500, 1_500)
        return Services(database, platform.bucket, world.answers, lambda: world.scheduler.now + skew_ms, heart)

    def start(self, run_id, fence):
        """Start the job; the run begins after a while."""
        self._runs += 1
        instance = f"trainer-{self._runs}"

        def work():
            self._world.note(instance, "begins", run_id, fence)
            try:
                pointer = run.run(self.services(instance), self.make, run_id, fence)
                self._world.note(instance, "published", pointer.version)
            except Exception as problem:
                self._world.note(instance, "ended:", repr(problem)[:100])

        self._world.scheduler.spawn(instance, work, instance, after_ms=self._world.rng.randrange(30_000))

    def start_by_hand(self):
        """Run at once, as an operator's process; return it."""

        def work():
            self.is_uploading = False
            with suppress(Exception):
                run.run(self.services("operator trains"), self._made_by_hand)

        return self._world.scheduler.spawn("operator trains", work, "operator trains")

    def _made_by_hand(self, order, step):
        product = self.make(order, step)
        self.is_uploading = True
        return product

    def make(self, order, step):
        """Implement ``trainer.run.Make``."""
        world, rng = self._world, self._world.rng
        world.scheduler.sleep(rng.randrange(90_000))
        step("judging")
        rows = sorted(zip(order.snapshot.ratings["isbn"], order.snapshot.ratings["myRate"], strict=True))
        chance = rng.random()
        if world.is_day and chance < 0.05:
            world.scheduler.sleep(3_000_000)  # it hangs
        if world.is_day and chance < 0.20:
            raise RuntimeError("out of memory")
        world.monitor.judged(order.snapshot_at, rows)
        if chance > 0.88:
            world.monitor.refused(order.version)
            raise RefusedModelError("it loses to popularity")
        isbns = tuple(sorted({isbn for isbn, _ in rows})) or ("none",)
        content = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        is_broken = world.is_day and 0.80 < chance < 0.85
        model = f"{'broken' if is_broken else 'model'} {order.version} {content}".encode()
        items = Items(isbns, isbns[:5])
        if world.explores:  # it knows all books, of which every third is rare; two neighbours each are of one series
            isbns = tuple(sorted({*isbns, *world.isbns}))
            items = Items(isbns, isbns[:5])
            series = tuple(1 + (number + 1) // 2 for number in range(len(isbns)))
            rare = tuple(range(0, len(isbns), 3))
            items = replace(items, diversity=Diversity(0.000_9, series, (0,) * len(isbns)), rare=rare)
        files = {RECOMMEND_MODEL: model, ITEMS: json.dumps(items.to_json()).encode()}
        world.monitor.made(order.version, files)
        return Product(files, {"data": {"snapshotAt": order.snapshot_at}})


class Operator:
    """Rolls back from time to time, starts experiments, requests runs, and releases parked retraining."""

    def __init__(self, world, trainer):
        self._world, self._trainer = world, trainer

    def watch(self):
        world = self._world
        while True:
            world.scheduler.sleep(int(world.rng.expovariate(1 / 900_000)))
            if not world.is_day:
                return
            pointer = parse_pointer(world.platform.database.get(paths.MODEL))
            if pointer is not None:
                self.roll_back(world.rng.choice(sorted(pointer.kept)))

    def try_out(self):
        """Start and end experiments, and request runs that are not due."""
        world = self._world
        while True:
            world.scheduler.sleep(int(world.rng.expovariate(1 / 200_000)))
            if not world.is_day:
                return
            pointer = parse_pointer(world.platform.database.get(paths.MODEL))
            others = sorted(set(pointer.kept) - {pointer.version}) if pointer else []
            if world.rng.random() < 0.1:
                world.platform.invoke("operator retrains", lambda backend: backend.operating.retrain())
            elif others:
                start = {"version": world.rng.choice(others), "share": world.rng.choice([0.2, 0.5, 0.8])}
                data = {"action": "end"} if pointer.experiment else start
                world.platform.invoke("operator tries", lambda backend, data=data: backend.operating.experiment(data))
            if world.loses_arguments:
                world.platform.invoke(LOST_ARGUMENTS, lambda backend: backend.operating.experiment({}))

    def roll_back(self, version):
        """Roll back with the trainer's command or by calling the function; on some days it is killed half-way."""
        scheduler = self._world.scheduler
        process = self._begin_rollback(version)
        if self._world.kills_rollbacks:
            scheduler.sleep(self._world.rng.choice([20, 60, 200]) * self._world.rng.randrange(1, 4))
            if not process.is_done:
                scheduler.kill(process.instance)

    def _begin_rollback(self, version):
        if self._world.rng.random() < 0.5:
            return self._world.platform.invoke(
                "operator rolls back", lambda backend: backend.operating.rollback(version)
            )

        def work():
            services = self._trainer.services("operator")
            lease = services.lease(purpose=leases.ROLLBACK)
            with suppress(BookrecError):
                roll_back(services.database, services.verify, lease, services.now_ms, version)
                self._world.note("rolled back to", version)

        return self._world.scheduler.spawn("operator rolls back", work, "operator")

    def train_by_hand(self):
        """Start a run by hand now and then, and press Ctrl-C at any moment of it, often around its publish."""
        world = self._world
        while True:
            world.scheduler.sleep(int(world.rng.expovariate(1 / 400_000)))
            if not world.is_day:
                return
            process = self._trainer.start_by_hand()
            is_uploading = world.rng.random() < 0.7
            world.scheduler.wait(lambda: process.is_done or not is_uploading or self._trainer.is_uploading)  # noqa: B023
            world.scheduler.sleep(world.rng.randrange(400) if is_uploading else world.rng.randrange(60_000))
            world.scheduler.interrupt(process)
            world.scheduler.wait(lambda: process.is_done)  # noqa: B023

    def release(self):
        """Release a parked retraining."""
        release(database_of(self._world.platform.database))
