"""Deliberate faults in what protects from untrusted input: the unit tests must find each one, as the simulation does others.

Histories do not have a hostile bucket or rules that are open; the tests named here stand for them.
"""

import os
import subprocess
import sys

import pytest

from tests.simulation.mutants import ROOT, Mutant, faulty, make_faulty_copy

SHARDS, WRITER = "functions/bookrec/list_shards.py", "functions/backend/shard_writer.py"
STORE, MODELS = "functions/backend/adapters/cloud_storage.py", "functions/backend/models.py"
FOREIGN, RANGES = "functions/backend/guards/foreign_writes.py", "functions/bookrec/life_cycle/ranges.py"
LISTS, NUMBERS, SLOW = (
    "tests/unit/test_list_shards.py",
    "tests/unit/test_untrusted_numbers.py",
    "tests/unit/test_slow_store.py",
)
HOSTILE, HANDLERS = "tests/adapters/test_hostile_store.py", "tests/unit/test_handlers.py"
# ruff: noqa: E501 - a line of code stays a line
CASES = [
    (
        Mutant("accepts numbers of any size", RANGES, "not 0 <= value <= most or ", ""),
        f"{NUMBERS}::test_the_greatest_number_is_accepted_and_the_next_one_rejected",
    ),
    (
        Mutant("accepts files that do not fit together", "functions/bookrec/life_cycle/manifest.py",
               "    if total > MAX_VERSION_BYTES:\n", "    if False:\n"),
        f"{NUMBERS}::test_the_files_of_a_version_fit_into_an_instance_together",
    ),
    (
        Mutant("believes any index of lists", WRITER, "        if sha256(content) != pointer.lists_sha256:\n", "        if False:\n"),
        f"{LISTS}::test_lists_that_the_bucket_alone_has_changed_are_not_written",
    ),
    (
        Mutant("does not ask the model about a shard's lists", WRITER,
               "            check_sample(checked, live.model, self._catalogue.current(), self._database)\n", ""),
        f"{LISTS}::test_lists_that_the_pointer_vouches_for_but_the_model_does_not_make_are_made_again",
    ),
    (
        Mutant("uses lists that the pointer does not vouch for", "functions/bookrec/life_cycle/manifest.py",
               "        return self.lists if self.lists_sha256 else 0\n", "        return self.lists\n"),
        f"{NUMBERS}::test_a_pointer_of_an_earlier_release_serves_and_its_lists_are_made_by_the_functions",
    ),
    (
        Mutant("passes unknown fields of a list on", SHARDS, "    _require(line.keys() == (_LINE_FIELDS | _MORE_FIELDS if has_more else _LINE_FIELDS))\n", ""),
        f"{LISTS}::test_a_line_with_other_fields_or_values_than_the_contracts_is_rejected",
    ),
    (
        Mutant("bounds a download before decoding only", STORE, "unpacker.decompress(piece, most)", "unpacker.decompress(piece)"),
        f"{HOSTILE}::test_a_gzip_encoded_object_is_bounded_after_decoding",
    ),
    (
        Mutant("waits for each byte anew", STORE, "        if deadline.remaining(PATIENCE_S) <= 0:\n", "        if False:\n"),
        f"{HOSTILE}::test_a_thread_that_nobody_waits_for_any_more_ends",
    ),
    (
        Mutant("gives each file a deadline", MODELS, "                with deadline.within(LOAD_S):\n                    self._switch(node)",
               "                self._switch(node)"),
        f"{SLOW}::test_all_files_of_an_attempt_share_one_deadline",
    ),
    (
        Mutant("lets each thread try to load the model", MODELS, "            if self._is_loading:\n                return False\n", ""),
        f"{SLOW}::test_lists_do_not_wait_for_a_model_that_another_event_loads_and_follow_it_once_it_is_loaded",
    ),
    (
        Mutant("forgets the lists that did not wait for the model", "functions/backend/lists.py",
               "        if now.in_use.is_loading and not self._model.once_loaded(partial(self.refresh, list(used))):\n", "        if False:\n"),
        f"{SLOW}::test_lists_do_not_wait_for_a_model_that_another_event_loads_and_follow_it_once_it_is_loaded",
    ),
    (
        Mutant("clears a suspect whose list was only compared", "functions/backend/guards/careful.py", "clears=False,\n", "clears=True,\n"),
        "tests/unit/test_careful.py::test_the_sweep_moves_past_a_reader_whose_list_can_be_compared_but_not_written",
    ),
    (
        Mutant("dates a failure before the attempt", MODELS, "            self._failure = Failure(node, self._clock.elapsed_ms(), problem)\n",
               "            self._failure = Failure(node, self._clock.elapsed_ms() - TRY_AGAIN_AFTER_MS, problem)\n"),
        f"{SLOW}::test_the_rest_begins_when_the_attempt_ends",
    ),
    (
        Mutant("believes a client without a token", "functions/backend/composition.py",
               'event.auth_type in ("admin", "unknown")', 'event.auth_type != "app_user"'),
        "tests/wire/test_functions_wire.py::test_whoever_is_neither_the_reader_nor_an_admin_is_not_believed",
    ),
    (
        Mutant("removes a genuine entry that somebody else has edited", FOREIGN,
               "    genuine = write.before if is_accepted(write.before) else None\n", "    genuine = None\n"),
        f"{HANDLERS}::test_a_genuine_entry_that_somebody_else_edits_is_restored_to_what_it_was",
    ),
    (
        Mutant("undoes the last foreign edit only", FOREIGN, "        value = _value(notes[mark])\n", "        value = _value(notes[mark])\n        break\n"),
        f"{HANDLERS}::test_several_foreign_edits_are_undone_whatever_the_order_of_their_events",
    ),
    (
        Mutant("follows links when it publishes", "trainer/data/exchange/regular_file.py", " | os.O_NOFOLLOW", ""),
        "tests/trainer/commands/test_folder.py::test_only_regular_files_are_read",
    ),
]  # fmt: skip


NAMES = [mutant.what for mutant, _ in CASES]


@pytest.mark.parametrize(("mutant", "test"), CASES, ids=NAMES)
def test_the_code_that_a_mutant_replaces_and_the_test_that_finds_it_are_there(mutant, test):
    file, _, name = test.partition("::")
    assert faulty(mutant, ROOT) != (ROOT / mutant.file).read_text()
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.whole
@pytest.mark.parametrize(("mutant", "test"), CASES, ids=NAMES)
def test_a_fault_in_what_protects_is_found(mutant, test, tmp_path):
    more = ("functions/main.py", "local", "deploy", "emulator/src", "pyproject.toml")
    make_faulty_copy(mutant, tmp_path, more)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    path = os.pathsep.join(str(tmp_path / name) for name in ("functions", "emulator/src", ""))
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1, done.stdout[-2_000:]
    assert " failed" in done.stdout.splitlines()[-1]
