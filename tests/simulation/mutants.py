"""Deliberate faults in the code: the simulation must find each one. Run as a program, this writes the table.

Each mutant is a text of the code and its replacement. If the text is no longer there, that is an error, so the table
cannot outlive the code.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "simulation.md"
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
PACKAGES = [f"functions/{name}" for name in ("bookrec", "bookrec_database", "bookrec_operations", "backend")]
SEEDS = 2_000
"""How many histories it may take to catch a mutant."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        what: what the faulty code does.
        file: the file it is in.
        code: the text that is replaced.
        fault: its replacement.
    """

    what: str
    file: str
    code: str
    fault: str


LISTS, WRITES = "functions/backend/lists.py", "functions/backend/list_writes.py"
LEASE, PUBLISH = "functions/bookrec/life_cycle/lease.py", "trainer/publishing/versions.py"
POINTER = "functions/bookrec/life_cycle/publishing.py"
DATABASE, CAREFUL = "functions/bookrec_database/database.py", "functions/backend/guards/careful.py"
FANOUT, WALK = "functions/backend/handlers/model_published.py", "functions/backend/shelf_walk.py"
SIMILAR = "functions/backend/handlers/similar_books.py"
RUN, RETRAINING = "trainer/run.py", "functions/backend/handlers/retrain.py"
# ruff: noqa: E501 - a line of code stays a line
MUTANTS = [
    Mutant("skips the fence", POINTER, "if live is not None and live.fence >= pointer.fence:", "if False:"),
    Mutant(
        "switches the pointer before the files are there", RUN,
        "    content = versions.upload(bucket, product.files, manifest, services.answers)\n    index = None\n",
        "    import json\n    content = json.dumps(manifest.to_json(), indent=1, sort_keys=True).encode()\n"
        "    switch(database, versions.make_pointer(version, content, lease.fence, services.now_ms(), snapshot_at))\n"
        "    versions.upload(bucket, product.files, manifest, services.answers)\n    lease.outcome = 'published'\n"
        "    index = None\n",
    ),
    Mutant(
        "does not read the upload back", PUBLISH,
        "    verify(bucket, manifest.version, sha256(content), answers)\n    return content", "    return content",
    ),
    Mutant(
        "does not try the uploaded model out", PUBLISH, "    answers(version, files[RECOMMEND_MODEL], files[ITEMS])\n", "",
    ),
    Mutant(
        "loads files without checking their SHA-256", "functions/bookrec/life_cycle/manifest.py",
        "        entry.check(name, content)\n", "",
    ),
    Mutant(
        "does not look at the shelf again after writing", LISTS,
        "            or present.by_user[user_id].digest != used[user_id].digest\n",
        "",
    ),
    Mutant(
        "takes a list that somebody else has written meanwhile for its own", LISTS,
        "        contested = [user_id for user_id in used if counts[user_id] != read.counts[user_id] + step]\n",
        "        contested = [user_id for user_id in used if counts[user_id] < read.counts[user_id] + step]\n",
    ),
    Mutant(
        "does not look at the model again after writing", LISTS,
        "        if not now.is_still(read.basis):\n            return list(used)\n", "",
    ),
    Mutant(
        "accepts any model's list as the right one", WRITES,
        "    wanted = None if in_use.is_degraded else in_use.version_of(shelf.user_id)\n", "    wanted = None\n",
    ),
    Mutant(
        "makes the list of the event, not of the shelf", LISTS,
        "        return readers, _shelves_of(readers, nodes, self._clock.now_ms())\n",
        "        return readers, _shelves_of(readers, dict(list(nodes.items())[-1:]), self._clock.now_ms())\n",
    ),
    Mutant(
        "writes lists without their marks", WRITES,
        "    return values | _marks(shelf, reader, changes or _changed(shelf, reader, in_use.live))",
        "    return values | (_marks(shelf, reader, changes) if changes is not None else {})",
    ),
    Mutant(
        "forgets what changed while a run was reading", RUN,
        "        _afterwards(lambda: database.clear_marks(marks, snapshot_at), f\"clearing {marks}\")  # noqa: B023",
        "        _afterwards(lambda: database.clear_marks(marks, services.now_ms() + 10_000), marks)  # noqa: B023",
    ),
    Mutant(
        "gives the lease to a run while another one holds it", LEASE,
        "    if lease.is_held(now):\n        return None\n    free", "    free",
    ),
    Mutant(
        "never frees the lease of a dead run", LEASE,
        "    if lease.holder is None or lease.is_held(now):\n        return None\n    if not", "    return None\n    if not",
    ),
    Mutant(
        "keeps renewing the lease of a run that hangs", LEASE,
        "    if not lease.is_held_by(holder, fence) or now >= lease.ends_by:\n        return None\n"
        "    return replace(lease, expires_at=min(now + duration_ms, lease.ends_by))",
        "    if not lease.is_held_by(holder, fence):\n        return None\n"
        "    return replace(lease, expires_at=now + 1_000 * duration_ms)",
    ),
    Mutant(
        "removes versions that are still kept", PUBLISH, "        if is_past and version not in live.kept and",
        "        if is_past and version != live.version and",
    ),
    Mutant(
        "sweeps over entries only, not over readers", WALK,
        "        readers = {**dict.fromkeys(sorted(others), Reader()), **self._database.readers(numbered), **listed}\n",
        "        named = set(map(user_id_of, nodes.values()))\n"
        "        readers = {user: reader for user, reader in {**dict.fromkeys(others, Reader()), **listed}.items() if user in named}\n",
    ),
    Mutant(
        "leaves out the shelf that a page of entries cuts off", WALK, "_place_of(texts[-2])", "_place_of(texts[-1])",
    ),
    Mutant(
        "never sweeps again", "functions/backend/handlers/reconcile.py",
        "0 <= self._clock.now_ms() - swept_at < self._rest_ms", "self._rest_ms > 0",
    ),
    Mutant(
        "leaves lists with the titles and covers of before", "functions/bookrec/reader.py",
        "        return is_allowed(shelf, self.isbns, catalogue) and self.shows(self.isbns, catalogue)\n",
        "        return is_allowed(shelf, self.isbns, catalogue)\n",
    ),
    Mutant(
        "leaves lists with another edition of a book on the shelf", "functions/bookrec/reader.py",
        "        return is_allowed(shelf, self.isbns, catalogue) and self.shows(self.isbns, catalogue)\n",
        "        return all(isbn in catalogue for isbn in self.isbns) and self.shows(self.isbns, catalogue)\n",
    ),
    Mutant(
        "gives a list with the same books a new id", "functions/bookrec/ranking.py",
        "        return list_id(self.shelf.user_id, self.shelf.digest, self.isbns)\n",
        "        return list_id(self.model_version, self.shelf.digest, self.isbns)\n",
    ),
    Mutant(
        "counts bad entries instead of recording them", "functions/backend/sweep.py",
        "            self._write({f\"{paths.REJECTED}/{key}\": record(rejected[key]) for key in missing})\n", "",
    ),
    Mutant(
        "serves readers who have left", "functions/bookrec/reader.py",
        "        return self.mark is not None and not self.has_profile", "        return False",
    ),
    Mutant(
        "trains on readers who have left", RUN, ".without(database.gone())", "",
    ),
    Mutant(
        "stops at an invalid entry",
        LISTS,
        "    for entry in sort_out(nodes)[0]:\n",
        "    assert not sort_out(nodes)[1]\n    for entry in sort_out(nodes)[0]:\n",
    ),
    Mutant(
        "names readers in the logs", "functions/backend/logs.py",
        "    return reader_key(user_id)", "    return user_id",
    ),
    Mutant(
        "writes user ids into the model's files", RUN,
        "    manifest = versions.make_manifest(version, product.files, product.details)\n",
        "    product.files['users.json'] = str(list(snapshot.ratings['userId'])).encode()\n"
        "    manifest = versions.make_manifest(version, product.files, product.details)\n",
    ),
    Mutant(
        "treats a task as done again after a rollback", FANOUT,
        "        identity = f\"{self._instance}{pointer.publication}:{attempt}:{shard}:{','.join(part)}\"",
        "        identity = f\"{shard}:{','.join(part)}\"",
    ),
    Mutant(
        "starts a run that another one has made unnecessary",
        RETRAINING,
        "        if not is_due and not self._has_pending():  # another run has ended since the decision\n",
        "        if False:\n",
    ),
    Mutant(
        "ends a sweep after its first page",
        "functions/backend/sweep.py",
        "        return stretch.last\n",
        "        return None\n",
    ),
    Mutant(
        "gives all readers the live model's list in an experiment", WRITES,
        "    made = make_list(shelf, in_use.model_of(shelf.user_id), catalogue, basis.sizes, reordering)\n",
        "    made = make_list(shelf, in_use.live.model if in_use.live else None, catalogue, basis.sizes, reordering)\n",
    ),
    Mutant(
        "keeps the pages of before if a list is replaced without an event", WRITES,
        "    values[paths.more_lists(shelf.user_id)] = made.more_node(catalogue)",
        "    if changes is not None or reader.more is None:\n"
        "        values[paths.more_lists(shelf.user_id)] = made.more_node(catalogue)",
    ),
    Mutant(
        "draws another book of exploration with each write", "functions/backend/list_writes.py",
        "explored(made, model.rare, day, basis.catalogue, rate)",
        "explored(made, model.rare, day + made.shelf.digest.count('a') + id(made), basis.catalogue, rate)",
    ),
    Mutant(
        "keeps an experiment whose version is no longer kept", POINTER,
        "    goes_on = experiment is not None and experiment.version in kept and experiment.version != pointer.version\n",
        "    goes_on = experiment is not None\n",
    ),
    Mutant(
        "ends an experiment without a fan-out", POINTER,
        "    return replace(live, experiment=None, switches=live.switches + 1).to_node()\n",
        "    return replace(live, experiment=None).to_node()\n",
    ),
    Mutant(
        "counts hits instead of storing them", "functions/bookrec/usage/conversions.py",
        "                values[f\"{node}/hits/{key}\"] = hit.to_node()\n",
        "                values[f\"{node}/hits/{key}/source\"] = hit.source\n"
        "                values[f\"{node}/hits/{key}/position\"] = {\".sv\": {\"increment\": hit.position}}\n",
    ),
    Mutant(
        "remembers a showing again that another event has added", "functions/bookrec/usage/showings.py",
        "    if showing.at <= seen.at:\n        return None\n", "",
    ),
    Mutant(
        "continues a count that another sweep has begun", "functions/backend/sweep.py",
        "            if not after:\n                counted.quality = Tally(standing(usable_pointer(self._database.pointer())))\n", "",
    ),
    Mutant(
        "counts a killed rollback as a failed run", LEASE,
        "    if not lease.is_for_training:\n        return _freed(lease)\n    died: Outcome", "    died: Outcome",
    ),
    Mutant(
        "ends an experiment if the arguments got lost", "functions/backend/handlers/operating.py",
        "        if action == END and version is None and share is None:\n",
        "        if version is None and share is None:\n",
    ),
    Mutant(
        "reads a shelf whole, however large it is", DATABASE, ".limit_to_last(shelf.MAX_SHELF)", "",
    ),
    Mutant(
        "lets the oldest entries of a large shelf count", DATABASE,
        ".limit_to_last(shelf.MAX_SHELF)", ".limit_to_first(shelf.MAX_SHELF)",
    ),
    Mutant(
        "trains on entries that do not count for the list", "trainer/data/ingest/rows.py",
        "        counts[own] = [key in kept for key in keys]\n", "",
    ),
    Mutant(
        "gives the places of bad entries to older ones in training", "trainer/data/ingest/rows.py",
        "        waiting += [(key, push_time(key), user_id, None, 0.0) for key, user_id in owners if user_id is not None]\n", "",
    ),
    Mutant(
        "tries a reader who makes the function die for ever", CAREFUL,
        "        if self._suspects.get(key, 0) < ATTEMPTS:\n", "        if True:\n",
    ),
    Mutant(
        "does not note whose lists it is about to make", CAREFUL,
        "        self._database.update({f\"{SUSPECTS}/{self._place}\": node})\n        self._is_noted = True\n", "",
    ),
    Mutant(
        "names the reader who is left out", CAREFUL, "reader=key, times=times)", "reader=user_id, times=times)",
    ),
    Mutant(
        "queues a fan-out from its first shard on, each time", FANOUT,
        "        place = self._place(pointer, attempt)\n", "        place = _Place()\n",
    ),
    Mutant(
        "queues a fan-out without looking at the clock", FANOUT,
        "            if self._clock.elapsed_ms() >= until_ms and start + len(block) < len(parts):\n", "            if False:\n",
    ),
    Mutant(
        "lets a fan-out's task die of the same reader for ever", FANOUT,
        "                done = lists.refresh([user_id for user_id", "                done = self._lists.refresh([user_id for user_id",
    ),
    Mutant(
        "leaves similar books of a book that has left the catalogue", SIMILAR,
        "            for key in sorted(present.keys() | wanted.keys(), key=key_order)\n",
        "            for key in sorted(wanted.keys(), key=key_order)\n",
    ),
    Mutant(
        "finds similar books with whatever catalogue the instance has read", SIMILAR,
        "self._catalogue.fresh()", "self._catalogue.cached()",
    ),
    Mutant(
        "takes an unknown database for the first one", "functions/backend/composition.py",
        "        return self.others.get(instance)\n", "        return self.others.get(instance, self)\n",
    ),
    Mutant(
        "reads dismissals before the count of a list's writes", LISTS,
        "        counts, basis = self._concurrently([lambda: self._database.list_writes(user_ids), basis_of])\n"
        "        readers, shelves = self._shelves(user_ids)\n",
        "        readers = self._database.readers(user_ids)\n"
        "        counts, basis = self._concurrently([lambda: self._database.list_writes(user_ids), basis_of])\n"
        "        shelves = _shelves_of(readers, self._database.shelf_nodes(user_ids), self._clock.now_ms())\n",
    ),
    Mutant(
        "leaves the dismissals of a reader who left", WRITES,
        "for name in sorted(OURS)]\n", "for name in [\"recommendations\"]]\n",
    ),
]  # fmt: skip


def faulty(mutant, folder):
    """Return the text of the mutant's file in a copy of the project, with the fault in it."""
    text = (folder / mutant.file).read_text()
    if text.count(mutant.code) != 1:
        raise LookupError(f"{mutant.file} must contain the code that the mutant '{mutant.what}' replaces exactly once")
    return text.replace(mutant.code, mutant.fault)


def make_faulty_copy(mutant, folder, more=()):
    """Copy what the simulation needs, and ``more``, into a folder, and put the fault in."""
    for part in (*PACKAGES, "trainer", "tests", "database.rules.json", *more):
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "venv", "node_modules"))
        else:
            shutil.copy(source, target)
    (folder / mutant.file).write_text(faulty(mutant, folder))


def hunt(mutant, seeds):
    """Return (invariant, first seed that catches the mutant), or None if none of ``seeds`` does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_faulty_copy(mutant, folder)
        command = [sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), "--jobs", "1", "--until-failure"]
        env = {**os.environ, "PYTHONPATH": f"{folder / 'functions'}:{folder}"}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=3_600)
        violation = re.search(r"seed (\d+): invariant (\d+): (.*)", done.stdout)
        return (int(violation[2]), int(violation[1])) if done.returncode == 1 and violation else None


def table(results):
    """Return the table as Markdown."""
    lines = [BEGIN, "| what the faulty code does | file | caught by invariant | in history |", "|---|---|---|---|"]
    for mutant, catch in results:
        caught = f"{catch[0]} | {catch[1]}" if catch else "**not caught** | –"
        lines.append(f"| {mutant.what} | `{mutant.file}` | {caught} |")
    return "\n".join([*lines, END])


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="most histories for each mutant")
    parser.add_argument("--only", default="", help="only mutants whose description contains this text")
    arguments = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if arguments.only in mutant.what]
    for mutant in chosen:
        faulty(mutant, ROOT)  # raise an error now, not during the long search

    def report(mutant):
        catch = hunt(mutant, arguments.seeds)
        caught = f"invariant {catch[0]:2}, seed {catch[1]:3}" if catch else "NOT CAUGHT"
        print(f"{caught}  {mutant.what}", flush=True)  # noqa: T201
        return mutant, catch

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(report, chosen))
    if not arguments.only:
        page = TABLE.read_text()
        begin, end = page.index(BEGIN), page.index(END) + len(END)
        TABLE.write_text(page[:begin] + table(results) + page[end:])
    return 1 if any(catch is None for _, catch in results) else 0


if __name__ == "__main__":
    sys.exit(main())
