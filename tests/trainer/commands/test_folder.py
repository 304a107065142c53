"""``train --out`` and ``publish``: a model in a folder, and the conditions for making it live."""

import io
import json
import os
import shutil
import socket
import stat
from dataclasses import replace

import pytest

from bookrec import paths
from bookrec.errors import BadModel, LeaseLost
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.manifest import parse_manifest, parse_pointer
from bookrec_operations.rollback import roll_back
from tests.fakes import FakeBucket, FakeClock, database_of
from tests.memory_database import MemoryDatabase
from tests.trainer.commands.command_line import command, fill, project, storage_url, tiny
from tests.trainer.small_ratings import clusters
from trainer import candidate as candidates
from trainer.candidate import RECORD, NoCandidateError, StaleCandidateError, WatchedBucket, read_candidate
from trainer.command_line.progress import Progress
from trainer.commands.train import STEPS, Told
from trainer.data.exchange.new_folder import FolderError, new_folder
from trainer.run import Product, RefusedModelError, Services, run

__all__ = ["command", "project", "storage_url", "tiny"]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class World:
    """A database with an entry, a bucket, and the smallest possible models, in folders and live."""

    def __init__(self, tmp_path):
        self.clock, self.folder = FakeClock(), tmp_path / "candidate"
        self.memory = MemoryDatabase(self.clock.now_ms)
        self.bucket = FakeBucket(self.clock)
        self.services = Services(
            database_of(self.memory),
            self.bucket,
            lambda *files: None,
            self.clock.now_ms,
            lambda beat, every_s: lambda: None,
        )
        self.steps = []
        self.change("k1")

    def change(self, key):
        entry = {"userId": "u", "bookId": "b", "isbn": "1", "myRate": 4}
        self.memory.update({f"{paths.USER_BOOK}/{key}": entry, f"{paths.CHANGES}/{key}": {"at": self.clock.now}})

    def make(self, order, step):
        step("judging")
        files = {
            "recommend.tflite": b"m",
            "items.json": b"{}",
            "report.html": f"<p>Version {order.version}".encode(),
            "model_card.md": f"# {order.version}".encode(),
            "metrics.json": order.version.encode(),
        }
        gate = {"passed": True, "reason": "not worse than popularity"}
        return Product(files, {"gate": gate, "data": {"snapshotAt": order.snapshot_at}})

    def train(self, make=None):
        return candidates.train(self.services, make or self.make, None, self.folder, self.steps.append)

    def publish(self):
        return candidates.publish(self.services, self.folder)

    def run(self):
        self.clock.now += 1_000
        return run(self.services, self.make)

    def live(self):
        return parse_pointer(self.memory.get(paths.MODEL))


def test_training_into_a_folder_changes_nothing_live(world):
    candidate = world.train()
    assert world.steps == ["reading", "judging"]
    assert world.live() is None
    assert world.bucket.objects == {}
    assert world.memory.get(paths.LEASE) is None
    assert set(world.memory.get(paths.CHANGES)) == {"k1"}
    written = {path.name for path in world.folder.iterdir()}
    assert written == {RECORD, "recommend.tflite", "items.json", "report.html", "model_card.md", "metrics.json"}
    assert world.folder.stat().st_mode & 0o077 == 0
    assert read_candidate(world.folder) == candidate


def test_a_folder_is_published_like_any_model(world):
    before = world.run()
    world.change("k2")
    candidate = world.train()
    world.clock.now += 5_000
    world.change("k3")
    pointer = world.publish()
    assert pointer == world.live()
    assert pointer.fence == before.fence + 1
    assert pointer.version.endswith(f"-{pointer.fence}")
    assert pointer.snapshot_at == candidate.snapshot_at
    assert set(world.memory.get(paths.CHANGES)) == {"k3"}  # the model has not seen it
    assert set(pointer.kept) == {before.version, pointer.version}
    lease = world.services.database.lease()
    assert (lease.holder, lease.outcome) == (None, "published")
    published = {
        name.rsplit("/", 1)[1]: content for name, content in world.bucket.objects.items() if pointer.version in name
    }
    assert published["report.html"] == f"<p>Version {pointer.version}".encode()
    assert published["model_card.md"] == f"# {pointer.version}".encode()
    assert published["metrics.json"] == candidate.name.encode()  # data is not changed
    manifest = parse_manifest(json.loads(published["manifest.json"]))
    assert manifest.details["gate"]["passed"]
    assert world.memory.get(f"{paths.STATUS}/training/run/outcome") == "published"


def test_a_folder_is_published_once(world):
    world.train()
    live = world.publish()
    with pytest.raises(StaleCandidateError, match=f"{live.version} is live, and there was none to compare with"):
        world.publish()
    assert world.live() == live


def test_a_model_that_was_compared_with_another_one_is_not_published_and_the_error_says_what_to_do(world):
    first = world.run()
    world.train()
    second = world.run()
    message = f"{second.version} is live, but the model was compared with {first.version}: train again"
    with pytest.raises(StaleCandidateError, match=f"{message}.*or make {first.version} live again first"):
        world.publish()
    assert world.live() == second
    assert (world.services.database.lease().outcome, world.services.database.lease().failures) == ("published", 0)
    services = world.services
    lease = services.lease(purpose=leases.ROLLBACK)
    roll_back(services.database, services.verify, lease, services.now_ms, first.version)
    assert world.publish().fence == second.fence + 2


def test_a_model_that_goes_live_before_the_lease_is_taken_counts_no_failure(world):
    world.run()
    world.train()
    database, raced = world.services.database, []
    server_time = database.server_time

    def overtaken():
        if not raced:
            raced.append(True)
            node = dict(world.memory.get(paths.MODEL), manifestSha256="b" * 64)
            world.memory.update({paths.MODEL: node})
        return server_time()

    database.server_time = overtaken
    with pytest.raises(LeaseLost, match="train again"):
        world.publish()
    lease = database.lease()
    assert (lease.holder, lease.failures) == (None, 0)


def test_a_folder_is_not_published_while_a_run_is_live(world):
    world.train()
    now = world.clock.now
    world.services.database.change_lease(lambda held: leases.acquire(held, "run", now, 10_000, 10_000))
    with pytest.raises(LeaseLost, match="held by run run-1"):
        world.publish()
    assert world.live() is None


def test_a_refused_model_leaves_its_reason_and_cannot_be_published(world):
    def refuse(order, step):
        raise RefusedModelError("it loses to popularity")

    with pytest.raises(RefusedModelError, match="it loses to popularity"):
        world.train(refuse)
    assert {path.name for path in world.folder.iterdir()} == {RECORD}
    assert not read_candidate(world.folder).passed
    with pytest.raises(RefusedModelError, match="the gate refused this model: it loses to popularity"):
        world.publish()
    assert world.memory.get(paths.LEASE) is None


@pytest.mark.parametrize("damage", ["altered", "longer", "missing"])
def test_a_file_changed_after_training_is_named(world, damage):
    world.train()
    file = world.folder / "recommend.tflite"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"n" if damage == "altered" else b"mm")
    with pytest.raises(BadModel, match=r"recommend\.tflite.*train again"):
        world.publish()
    assert world.bucket.objects == {}


@pytest.mark.parametrize("name", ["items.json", RECORD])
@pytest.mark.parametrize("kind", ["link to a device", "link to a file", "pipe", "folder", "socket", "device"])
def test_only_regular_files_are_read(world, name, kind, tmp_path):
    world.train()
    file = world.folder / name
    if kind == "link to a file":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    else:
        file.unlink()
    if kind == "link to a device":
        file.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(file))
    elif kind == "device":
        if os.geteuid():
            pytest.skip("only root can make a device")
        os.mknod(file, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    with pytest.raises((BadModel, NoCandidateError), match=rf"{name}: cannot be (read|used) \(.+\)") as caught:
        world.publish()
    assert "\n" not in str(caught.value)
    assert world.bucket.objects == {}


def test_a_file_of_another_size_is_not_read(world):
    world.train()
    with (world.folder / "recommend.tflite").open("r+b") as file:
        file.truncate(1 << 40)  # a hole: no byte is on the disk
    with pytest.raises(BadModel, match=f"it has {1 << 40} bytes instead of 1"):
        world.publish()
    with (world.folder / RECORD).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(NoCandidateError, match="at most 4194304 are read"):
        world.publish()


@pytest.mark.parametrize(
    "record",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"schema": 1, "version": ' + "[" * 900 + "]" * 900 + "}",
        "9" * 5_000,
        "NaN",
        "\ud800",
    ],
    ids=["brackets", "braces", "a thousand", "digits", "not a number", "a half"],
)
def test_a_record_that_breaks_the_parser_is_bad_input_in_one_sentence(world, record):
    world.train()
    (world.folder / RECORD).write_bytes(record.encode("utf-8", "surrogatepass"))
    with pytest.raises(NoCandidateError, match="train again") as caught:
        world.publish()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "record",
    ["no json", "[]", "{}", '{"schema": 2}', '{"schema": 1, "version": 3}', '"candidate"'],
)
def test_a_damaged_record_is_bad_input(world, record):
    world.train()
    (world.folder / RECORD).write_text(record)
    with pytest.raises(NoCandidateError, match="train again"):
        world.publish()


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["files"].pop("items.json"),
        lambda record: record["files"].update({"../up": {"size": 1, "sha256": "0" * 64}}),
        lambda record: record["files"]["items.json"].update(sha256="short"),
        lambda record: record["gate"].update(passed="yes"),
        lambda record: record.pop("snapshotAt"),
        lambda record: record.update(comparedWith={"version": "v"}),
        lambda record: record.update(snapshotAt=-1),
        lambda record: record.update(snapshotAt=float("inf")),
        lambda record: record.update(snapshotAt=10**30),
        lambda record: record.update(files=[]),
    ],
)
def test_an_inconsistent_record_is_bad_input(world, change):
    world.train()
    record = json.loads((world.folder / RECORD).read_text())
    change(record)
    (world.folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(NoCandidateError):
        world.publish()


def test_nothing_is_overwritten_and_partial_output_is_removed(world, tmp_path):
    world.folder.mkdir()
    (world.folder / "mine").touch()
    with pytest.raises(FolderError, match="exists already"):
        world.train()
    assert world.steps == []  # the error comes before anything is read
    shutil.rmtree(world.folder)

    def interrupted(order, step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.train(interrupted)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_exist_but_a_file_may_not(tmp_path):
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as written:
        (written / "a").touch()
    assert (tmp_path / "empty" / "a").exists()
    (tmp_path / "file").touch()
    for taken in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FolderError), new_folder(taken):
            pass


def test_a_run_with_progress_names_its_steps_and_publishes_the_same(world):
    shown = io.StringIO()
    with Progress("training", len(STEPS), "steps", stream=shown) as progress:
        steps = Told(progress)
        steps.step("reading")
        bucket = WatchedBucket(world.bucket, steps.step)
        pointer = run(replace(world.services, bucket=bucket), steps.making(world.make))
    assert pointer == world.live()
    said = [line.removeprefix("training: ").rsplit(",", 1)[0] for line in shown.getvalue().splitlines()]
    assert said == [
        "reading, 0 of 6 steps", "judging, 1 of 6 steps", "uploading, 2 of 6 steps", "verifying, 3 of 6 steps",
    ]  # fmt: skip
    assert world.memory.get(f"{paths.STATUS}/training/run/outcome") == "published"


def test_publish_rejects_a_folder_without_a_candidate_before_it_connects(command, tmp_path, monkeypatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    ended = command("publish", tmp_path, "--json")
    assert ended.code == 2
    assert "give a folder that `train --out` has written" in ended.json["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--out", "x", "--lists"], "--lists: no lists are made with --out"),
        (["train", "--by-user", "many"], "invalid int value: 'many'"),
        (["train", "--fence", "3"], "unrecognized arguments: --fence 3"),
        (["train", "--source", "missing.csv"], "missing.csv: cannot be read"),
        (["train", "--variant", "best"], "invalid choice: 'best'"),
        (["train", "--optimiser", "sgd"], "invalid choice: 'sgd'"),
        (["train", "--epochs", "0"], "'0' is not a whole number from 1"),
    ],
)
def test_bad_options_of_train_are_explained_in_one_line(project, command, words, message):
    ended = command(*words)
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]


def test_a_folder_reaches_phones_and_is_rolled_back(project, command, tiny, tmp_path):
    ratings, books = clusters(readers=24, books=40, per_reader=8)
    fill(project, ratings, books)
    out = tmp_path / "candidate"
    ended = command("train", "--out", out, "--json")
    assert ended.code == 0, ended.err
    assert ended.json["outcome"] == "exported"
    assert ended.json["gate"]["passed"]
    assert "training: reading, 0 of 6 steps" in ended.err
    assert "training: exporting, 3 of 6 steps" in ended.err
    assert project.get(paths.MODEL) is None
    again = command("train", "--out", out)
    assert again.code == 2
    assert "exists already" in again.err

    ended = command("publish", out)
    assert ended.code == 0, ended.err
    live = parse_pointer(project.get(paths.MODEL))
    assert ended.out == f"version {live.version} is live\n"
    assert "publishing: uploading" in ended.err
    assert "publishing: verifying" in ended.err
    ended = command("publish", out, "--json")
    assert ended.code == 1
    assert "train again with `train --out`" in ended.json["error"]
    assert command("rollback", live.version, "--json").json["fence"] == live.fence + 1
    assert live.version in command("status").out

    ended = command("train", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["version"] == project.get(f"{paths.MODEL}/version") != live.version
    for step in ("reading", "judging", "fitting", "exporting", "uploading", "verifying"):
        assert f"training: {step}, " in ended.err
