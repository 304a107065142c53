"""The invariants that must hold once nothing changes any more."""

import json
import sys
from collections import Counter
from dataclasses import replace

from backend.list_writes import Reordering, make_list
from backend.rejected import is_same_forged
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.entries import problem_of
from bookrec.life_cycle.lease import read_lease
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.paths import children
from bookrec.ranking import similar_books
from bookrec.reader import LIST, OURS, SEEN, SHOWN
from bookrec.reordering.exploration import Exploration, day_of, explored
from bookrec.shelf import build_shelf, newest_of_each, sort_out
from bookrec.usage.dismissed import parse_dismissals
from bookrec.usage.quality import is_final, standing
from bookrec.usage.showings import read_seen, read_showing
from tests.simulation.actors import DEADLY, STRANGER
from tests.simulation.monitor import read_pointer
from tests.simulation.platform import INSTANCES


def check_mild(world):
    """Check what must hold if nothing was lost, before any reconciler has run: events converge without one."""
    database, monitor = world.platform.database, world.monitor
    entries, _ = sort_out(newest_of_each(database.get(paths.USER_BOOK) or {}))
    live = read_pointer(database.get(paths.MODEL))
    model_of = _models(world, live)
    for user_id in sorted({entry.user_id for entry in entries}):
        node, shelf = database.get(paths.recommendations(user_id)), _shelf_of(world, user_id, entries)
        if node is None:
            continue  # the reader has removed it, or left
        if node["basedOn"]["digest"] != shelf.digest:
            monitor.violated(2, f"the events of {user_id} ended in a list of another shelf, or of other dismissals")
        # It must equal a list of the reader's model, with the catalogue at the time when the two were compared.
        elif node["modelVersion"] != _version_of(live, user_id) and not any(
            _is_right(world, node, shelf, model_of(user_id), given) for given in monitor.catalogues
        ):
            monitor.violated(2, f"the events of {user_id} ended in a list of {node['modelVersion']}")


def _dismissals_of(world, user_id):
    node = children(world.platform.database.get(f"{paths.USERS}/{user_id}"))
    return parse_dismissals(node.get("dismissed"), node.get("dismissals"))


def _shelf_of(world, user_id, entries):
    """Return the shelf of which a reader must have the list, with the dismissals that count now."""
    return build_shelf(user_id, entries, _dismissals_of(world, user_id).counted(world.scheduler.now))


def _version_of(live, user_id):
    """Return the version whose list a reader must have."""
    if live is None:
        return "none"
    is_in_b = live.experiment is not None and live.experiment.arm(user_id) == "b"
    return live.experiment.version if is_in_b else live.version


def _models(world, live):
    """Return a function that loads the model of a reader's arm."""
    objects, loaded = world.platform.bucket.objects, {"none": None}

    def model_of(user_id):
        version = _version_of(live, user_id)
        if version not in loaded:
            files = [objects[paths.model_object(version, name)] for name in (RECOMMEND_MODEL, ITEMS)]
            loaded[version] = world.platform.load(version, *files)
        return loaded[version]

    return model_of


def check_all(world):
    """Check what must hold once nothing changes any more."""
    database, monitor = world.platform.database, world.monitor
    tree = {name: database.get(name) or {} for name in (paths.USER_BOOK, paths.USERS, "Recommender", paths.ARCHIVE)}
    state, nodes = tree["Recommender"], tree[paths.USER_BOOK]
    readers = state.get("readers", {})
    gone = {u for u in readers if not set(tree[paths.USERS].get(u, {})) - OURS}
    entries, _ = sort_out(newest_of_each(nodes))
    rejected = sort_out(nodes)[1]
    live = read_pointer(state.get("model"))
    if live is None or monitor.check_whole(live):
        _check_lists(world, tree, entries, gone, live)
        _check_similar_books(world, tree[paths.ARCHIVE], live)
    # Nobody lives to mark the changes of the deadly reader, so no run has to know them.
    rows = sorted((e.isbn, e.rating) for e in entries if e.user_id not in {*gone, world.deadly})
    judged = [tuple(row) for row in monitor.last_judged[1] or () if row[0] not in DEADLY]
    if state.get("changes"):
        monitor.violated(1, f"changes stay pending: {sorted(state['changes'])}")
    elif judged != rows:
        monitor.violated(1, f"the last judged model was made from {judged}, the shelves have {rows}")
    if read_lease(state.get("lease")).holder is not None:
        monitor.violated(3, "the lease is still held")
    _check_runs(monitor, children(children(state.get("status")).get("training")))
    _check_records(monitor, state, nodes, rejected, gone)
    for user_id in sorted(tree[paths.USERS].keys() - {world.deadly}):
        if not _dismissals_of(world, user_id).is_sound(world.scheduler.now):
            monitor.violated(8, f"{user_id} has dismissals that do not count, or a wrong number of them")
    _check_quality(monitor, state, tree[paths.USERS])
    _check_showings(world, tree[paths.USERS], gone)
    _check_privacy(world, state, gone)
    _check_more_lists(world)
    _check_strangers(world, tree)
    if state.get("paused"):
        monitor.violated(7, f"{sorted(state['paused'])} stay paused")
    if "tensorflow" in sys.modules and not world.had_tensorflow:
        monitor.violated(10, "the functions' path has imported TensorFlow")


def _check_lists(world, tree, entries, gone, live):
    database, monitor = world.platform.database, world.monitor
    catalogue, _ = parse_catalogue(tree[paths.ARCHIVE])
    model_of = _models(world, live)
    users = {entry.user_id for entry in entries} | {u for u in tree[paths.USERS] if u not in gone}
    for user_id in sorted(users - gone - {world.deadly}):
        shelf = _shelf_of(world, user_id, entries)
        expected = make_list(shelf, model_of(user_id), catalogue).to_node(catalogue, None)
        node = database.get(paths.recommendations(user_id))
        if node is None or node["basedOn"]["digest"] != shelf.digest:
            monitor.violated(1, f"the list of {user_id} does not follow shelf and dismissals")
        elif not _is_right(world, node, shelf, model_of(user_id), catalogue) and not _may_stay(
            node, monitor, _version_of(live, user_id)
        ):
            monitor.violated(2, f"the list of {user_id} is not the one that the shelf gives: {node['modelVersion']}")
        elif not _is_complete(node, expected, catalogue):
            monitor.violated(2, f"the list of {user_id} is not complete")
        elif not _is_up_to_date(node, shelf, catalogue):
            monitor.violated(2, f"the list of {user_id} shows what the catalogue no longer says")


def _check_similar_books(world, archive, live):
    """Check that each book has the similar ones of the live model, as the catalogue lets them, and nothing else."""
    present, catalogue = world.platform.database.get(paths.SIMILAR) or {}, parse_catalogue(archive)[0]
    expected = {}
    if live is not None:
        model = _models(world, replace(live, experiment=None))("any reader")
        books = {isbn: similar_books(isbn, model.similar_to(isbn), catalogue) for isbn in catalogue}
        expected = {paths.book_key(isbn): list(similar) for isbn, similar in books.items() if similar}
    if wrong := sorted(key for key in present.keys() | expected.keys() if present.get(key) != expected.get(key)):
        world.monitor.violated(13, f"what is similar to {wrong} is not what the live model says: {present}, {expected}")


def _is_right(world, node, shelf, model, catalogue):
    """Return whether a list is the one that the model makes; with exploration, on the date of the list.

    A list is written some time after it was made: up to two dates later, if that takes long; or a date earlier, if the
    instance's clock is ahead. With fatigue, it may be
    the list of what the reader was shown by any time: a showing replaces no list.
    """
    half_life = world.platform.fatigue_half_life
    memories = world.monitor.memories[shelf.user_id] if half_life else [{}]
    made = [make_list(shelf, model, catalogue, reordering=Reordering(memory, half_life)) for memory in memories]
    if model is None or not Exploration(world.platform.exploration).is_for(shelf.user_id):
        return node["listId"] in {one.list_id for one in made}
    written = day_of(node["generatedAt"])
    days = range(written - 2, written + 2)
    found = (explored(one, model.rare, day, catalogue, lambda _: 0.0).list_id for day in days for one in made)
    return node["listId"] in set(found)


def _may_stay(node, monitor, version):
    """Return whether a list may stay though the catalogue has changed since: new books alone do not replace a list."""
    is_right = version in ("none", node["modelVersion"])
    return is_right and node["generatedAt"] <= monitor.catalogue_changed_at


def _is_up_to_date(node, shelf, catalogue):
    """Return whether a list shows its books as they are now, each once, and none that was shelved or dismissed."""
    items = list(children(node.get("items")).values())
    shown = [(item["title"], item["author"], item["image"]) for item in items]
    editions = [catalogue.edition(isbn) for isbn in [item["isbn"] for item in items]]
    on_shelf = {catalogue.edition(isbn) for isbn in (*shelf.ratings, *shelf.dismissed) if isbn in catalogue}
    is_twice = len(set(editions)) < len(editions) or on_shelf & set(editions)
    return shown == [catalogue[item["isbn"]].shown for item in items] and not is_twice


def _is_complete(node, expected, catalogue):
    isbns = [item["isbn"] for item in children(node.get("items")).values()]
    return len(isbns) == len(expected["items"]) and set(isbns) <= set(catalogue)


def _check_runs(monitor, training):
    """Check that what is on record about runs is what became of them."""
    run, runs = children(training.get("run")), children(training.get("runs"))
    if run.get("outcome") == "running":
        monitor.violated(3, f"{run['runId']} is on record as running, and the lease is free")
    for fence, record in runs.items():
        is_published = int(fence) in monitor.published
        if (record["outcome"] == "published") != is_published:
            monitor.violated(3, f"the run of fence {fence} is on record as {record['outcome']}: {monitor.published}")


def _check_records(monitor, state, nodes, rejected, gone):
    records = state.get("rejected", {})
    expected = {k: p.reason for k, p in rejected.items() if children(nodes[k]).get("userId") not in gone}
    kept = {key: record["reason"] for key, record in records.items() if record["reason"] != "user_forged"}
    # Of a large shelf, an older entry that an update has made bad is recorded by the update's event alone.
    bad = rejected.keys() & newest_of_each(nodes).keys()
    if not {k: expected[k] for k in bad & expected.keys()}.items() <= kept.items() <= expected.items():
        monitor.violated(8, f"{kept} are recorded as rejected, {expected} are bad")
    if [key for key, record in records.items() if is_same_forged(record, nodes.get(key))]:
        monitor.violated(8, "a forged entry is recorded and still there")
    reported = state.get("status", {}).get("rejected") or {}
    if reported != Counter(problem_of(nodes[key]).reason for key in bad):
        monitor.violated(8, f"{reported} bad entries were counted, there are {len(bad)} among those that count")


def _check_quality(monitor, state, users):
    """Check that each stored conversion is counted once, and that none is of a reader who left."""
    noted = state.get("shelvings", {})
    if strangers := sorted(noted.keys() - users.keys()):
        monitor.violated(7, f"{strangers} have left, and their conversions are still stored")
    figures = children(children(state.get("status", {}).get("quality")).get("labels"))
    ended = {label for label, row in figures.items() if is_final(row)}
    running = standing(read_pointer(state.get("model")))
    if early := sorted(ended & running.open):
        monitor.violated(2, f"{early} are no longer counted, though lists of them are still made")
    arms = children(children(figures.get(running.experiment)).get("arms"))
    if wrong := sorted(arm for arm, row in arms.items() if row.get("version") != running.arms[arm]):
        monitor.violated(2, f"the running experiment's arms {wrong} are counted without their versions")
    rows = [(label, node) for labels in noted.values() for label, node in labels.items()]
    for label in sorted({label for label, _ in rows}):
        counted = figures.get(label)
        if label in ended:
            continue  # the next sweep removes it
        hits = [len(children(node.get("hits"))) for name, node in rows if name == label and "at" in node]
        expected = (len(hits), sum(map(bool, hits)), sum(hits))
        if counted is None or (counted["readers"], counted["hitReaders"], counted["hits"]) != expected:
            monitor.violated(2, f"for {label}, {expected} is stored and {counted} was counted")
        shown = [node for name, node in rows if name == label and "shown" in node]
        taken = [[hit for hit in node.get("hits", {}).values() if hit.get("shown")] for node in shown]
        expected = (len(shown), sum(len(node["shown"]) for node in shown), sum(map(bool, taken)))
        figures_of_shown = children(children(counted).get("shown"))
        if tuple(figures_of_shown.get(name, 0) for name in ("readers", "lists", "takers")) != expected:
            monitor.violated(2, f"for {label}, {expected} is stored of shown lists and {figures_of_shown} was counted")


def _check_showings(world, users, gone):
    """Check that the last showing of each reader's present list has been added, and that nothing is left of others."""
    for user_id, node in users.items():
        shown, seen = read_showing(node.get(SHOWN)), read_seen(node.get(SEEN))
        is_present = shown.list_id and shown.list_id == children(node.get(LIST)).get("listId")
        if is_present and seen.at < shown.at:
            world.monitor.violated(1, f"the list of {user_id} was shown, and nothing remembers it")
        if node.keys() <= {SHOWN, SEEN} or (user_id in gone and node.keys() & {SHOWN, SEEN}):
            world.monitor.violated(7, f"{user_id} has left, and what was shown is still stored")


def _check_privacy(world, state, gone):
    monitor = world.monitor
    rows = json.dumps(state.get("events", {}))
    if [user_id for user_id in world.user_ids if user_id in rows]:
        monitor.violated(9, "events of lists name a reader")
    written = sum(map(len, state.get("events", {}).values()))
    counted = sum(children(children(children(state.get("status")).get("events")).get("rows")).values())
    if counted < written:
        monitor.violated(2, f"{counted} events of lists were counted, there are {written}")
    for user_id in sorted(gone):
        node = children(world.platform.database.get(f"{paths.USERS}/{user_id}"))
        if OURS & node.keys() or user_id in state.get("dirty", {}):
            monitor.violated(7, f"{user_id} has left, and traces are left")
    for name, content in sorted(world.platform.bucket.objects.items()):
        if [user_id for user_id in world.user_ids if user_id.encode() in content]:
            monitor.violated(9, f"{name} contains a user id")
    for line in world.log:
        if [user_id for user_id in world.user_ids if user_id in line] or [i for i in world.isbns if i in line]:
            monitor.violated(7, f"a log line names a reader: {line}")


def _check_more_lists(world):
    """Check that the lists beside a reader's ten belong to the ten, and that nobody has some without a ten."""
    database, monitor = world.platform.database, world.monitor
    more_lists = children(database.get(paths.MORE_LISTS))
    lists = {
        user_id: children(node).get("recommendations") for user_id, node in children(database.get(paths.USERS)).items()
    }
    for user_id in sorted(
        more_lists.keys() | {user_id for user_id, node in lists.items() if children(node).get("more")}
    ):
        ten, more = children(lists.get(user_id)), more_lists.get(user_id)
        if not ten:
            monitor.violated(7, f"{user_id} has left, and lists by genre are left")
        elif more is None or more["listId"] != ten["listId"] or more["digest"] != ten["basedOn"]["digest"]:
            monitor.violated(13, f"the lists of {user_id} beside the ten are not those of the ten")
        elif _repeats(ten, more):
            monitor.violated(13, f"the pages of {user_id} repeat a book")


def _repeats(ten, more):
    pages = [children(ten.get("items")), *map(children, children(more.get("next")).values())]
    isbns = [item["isbn"] for page in pages for item in page.values()]
    return len(set(isbns)) < len(isbns)


def _check_strangers(world, tree):
    """Check that nothing came from another database, and that there were few alarms about it."""
    if STRANGER in json.dumps(tree):
        world.monitor.violated(12, "something of another database has been written")
    alarms = [line for line in world.log if '"alarm": "unknown-instance"' in line]
    if len(alarms) > INSTANCES:
        world.monitor.violated(12, f"{len(alarms)} alarms about another database within an hour")


def log_line(message, fields):
    """Return a log line as one text."""
    return json.dumps({"message": message, **fields}, default=str)
