"""Published files in Cloud Storage, here fake-gcs-server, and in the in-memory fake."""

import time

import pytest
import requests
from google.api_core.exceptions import Forbidden

from backend.adapters import cloud_storage
from bookrec.environment import default_buckets
from bookrec.errors import BadModel, BadSetting, StoreUnavailable
from local.processes import free_port
from tests.fakes import FakeBucket, FakeClock
from trainer.publishing.bucket import CloudBucket


class Both:
    """The bucket with the functions' adapter and with the trainer's."""

    def __init__(self, download, trainers):
        self.download, self.trainers = download, trainers

    def upload(self, name, content):
        self.trainers.create(name, content, "application/octet-stream")


@pytest.fixture(params=["in memory", "real"])
def bucket(request, monkeypatch):
    if request.param == "in memory":
        fake = FakeBucket(FakeClock())
        return Both(fake.download, fake)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("storage_url"))
    name = f"bucket-{next(_numbers)}"
    requests.post(
        f"{request.getfixturevalue('storage_url')}/storage/v1/b", json={"name": name}, timeout=5
    ).raise_for_status()
    store = cloud_storage.CloudModelStore(name)
    return Both(store.download, CloudBucket("demo-bookrec", name))


_numbers = iter(range(1_000))


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_an_object_is_read_completely(bucket, size):
    content = bytes(range(250)) * (size // 250) or b"x"
    bucket.upload(f"models/v1/{size}", content)
    assert bucket.download(f"models/v1/{size}", len(content)) == content
    assert bucket.trainers.read(f"models/v1/{size}") == content


def test_a_larger_object_than_expected_is_rejected(bucket):
    bucket.upload("models/v1/large", b"x" * 1001)
    with pytest.raises(BadModel, match="larger"):
        bucket.download("models/v1/large", 1000)


def test_a_missing_or_empty_object_is_not_a_model(bucket):
    for read in (bucket.trainers.read, lambda name: bucket.download(name, 1000)):
        with pytest.raises(BadModel, match="not in"):
            read("models/v1/missing")
    bucket.upload("models/v1/empty", b"")
    with pytest.raises(BadModel, match="empty"):
        bucket.download("models/v1/empty", 1000)


def test_an_object_is_never_replaced(bucket):
    bucket.upload("models/v1/a", b"a")
    bucket.upload("models/v1/a", b"a")
    with pytest.raises(BadModel, match="other content"):
        bucket.upload("models/v1/a", b"b")
    assert bucket.trainers.read("models/v1/a") == b"a"


def test_objects_of_models_are_listed_with_their_age_and_can_be_removed(bucket):
    bucket.upload("models/v1/a", b"a")
    bucket.upload("models/v2/b", b"b")
    created = dict(bucket.trainers.created())
    assert set(created) == {"models/v1/a", "models/v2/b"}
    assert min(created.values()) > 1_600_000_000_000
    for _ in range(2):
        bucket.trainers.delete("models/v1/a")
    assert [name for name, _ in bucket.trainers.created()] == ["models/v2/b"]


def test_a_store_that_does_not_answer_is_unavailable_soon(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(cloud_storage, "PATIENCE_S", 1.0)
    store = cloud_storage.CloudModelStore("bucket")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.download("models/v1/any", 1000)
    assert time.monotonic() - began < 10


@pytest.fixture
def buckets(monkeypatch, storage_url):
    """A project, and a function that makes buckets with these names."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_url)
    monkeypatch.delenv("MODEL_BUCKET", raising=False)

    def make(*names):
        for name in names:
            requests.post(f"{storage_url}/storage/v1/b", json={"name": name}, timeout=5).raise_for_status()

    return f"demo-{next(_numbers)}", make


@pytest.mark.parametrize("endings", [["firebasestorage.app"], ["appspot.com"], ["appspot.com", "firebasestorage.app"]])
def test_a_default_bucket_is_there_under_one_of_two_names_and_the_newer_one_counts(buckets, endings):
    project, make = buckets
    make(*(f"{project}.{ending}" for ending in endings))
    CloudBucket(project, f"{project}.{endings[-1]}").create("models/v/a", b"a", "text/plain")
    assert CloudBucket(project).read("models/v/a") == b"a"
    store = cloud_storage.CloudModelStore(*default_buckets(project))
    for _ in range(2):
        assert store.download("models/v/a", 10) == b"a"
    with pytest.raises(BadModel, match=f"models/v/b is not in bucket {project}.{endings[-1]}"):
        store.download("models/v/b", 10)
    with pytest.raises(BadModel, match=f"models/v/b is not in bucket {project}.{endings[-1]}"):
        CloudBucket(project).read("models/v/b")


def test_a_project_without_a_default_bucket_has_both_names_in_the_message(buckets):
    project, _ = buckets
    both = f"{project}.firebasestorage.app nor {project}.appspot.com: set MODEL_BUCKET"
    with pytest.raises(BadSetting, match=both):
        CloudBucket(project).read("models/v/a")
    with pytest.raises(BadModel, match=f"not in bucket {project}.appspot.com"):
        cloud_storage.CloudModelStore(*default_buckets(project)).download("models/v/a", 10)


def test_a_bucket_that_may_not_be_seen_may_be_missing(buckets, monkeypatch):
    project, make = buckets
    new, old = default_buckets(project)
    make(old)
    bucket = CloudBucket(project)
    listed = bucket._client.list_blobs

    def forbidden(name, **options):
        if name == new:
            raise Forbidden("it may not exist")
        return listed(name, **options)

    monkeypatch.setattr(bucket._client, "list_blobs", forbidden)
    bucket.create("models/v/a", b"a", "text/plain")
    assert CloudBucket(project, old).read("models/v/a") == b"a"
    monkeypatch.setattr(bucket._client, "list_blobs", lambda name, **options: forbidden(new))
    with pytest.raises(Forbidden):
        CloudBucket.read(_with_client(CloudBucket(project), bucket._client), "models/v/a")


def _with_client(bucket, client):
    bucket._client = client
    return bucket
