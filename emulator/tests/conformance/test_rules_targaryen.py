"""The emulator's security rules compared with targaryen, an independent evaluator.

Every case goes to both; where their answers differ, ``rules_differences.DIFFERENCES`` has to say why and who is right.
"""

import collections
import json
import shutil
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings

from rtdb_emulator.rules import operators, ruleset, snapshot

from ..missing import skip_without
from . import rules_written
from .rules_cases import Answer, answer, cases
from .rules_differences import DIFFERENCES, explanations

HERE = Path(__file__).parent


class Targaryen:
    """One Node process that answers case after case, and what came of them."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["node", HERE / "targaryen.cjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.counts = collections.Counter()
        self.kinds = collections.Counter()

    def answer(self, case):
        self.process.stdin.write(case.to_json() + "\n")
        self.process.stdin.flush()
        return Answer(**json.loads(self.process.stdout.readline()))

    def unexplained(self, case):
        """Return nothing, or what shows that two answers differ without a reason."""
        ours, theirs = answer(case), self.answer(case)
        assert theirs.answer in ("allowed", "denied", "rejected"), theirs.why
        self.counts[case.operation, ours.answer] += 1
        if ours.answer == theirs.answer:
            return None
        found = explanations(case, ours, theirs)
        self.kinds[found[0].name if len(found) == 1 else "several at once" if found else "unexplained"] += 1
        return None if found else (case, ours, theirs)

    def report(self):
        total = sum(self.counts.values())
        rows = [f"{total} cases, {sum(self.kinds.values())} differ"]
        rows += [f"{count:6} {' '.join(kind)}" for kind, count in sorted(self.counts.items())]
        return "\n".join(rows + [f"{count:6} {name}" for name, count in self.kinds.most_common()])

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def process():
    if shutil.which("node") is None or not (HERE / "node_modules/targaryen").is_dir():
        skip_without("targaryen is not there: `make .setup/conformance` installs it")
    found = Targaryen()
    yield found
    found.end()


@pytest.fixture
def targaryen(process, record_property):
    process.counts.clear()
    process.kinds.clear()
    yield process
    record_property("cases", process.report())
    print(process.report())  # noqa: T201


def test_written_cases_are_answered_alike_or_differ_as_explained(targaryen):
    assert [found for case in rules_written.CASES if (found := targaryen.unexplained(case))] == []
    assert len(rules_written.CASES) > 300


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_every_explained_difference_occurs(targaryen, difference):
    case = difference.example
    ours, theirs = answer(case), targaryen.answer(case)
    assert ours.answer != theirs.answer
    assert explanations(case, ours, theirs) == [difference]
    assert difference.right in ("the emulator", "targaryen", "neither")
    assert difference.source.startswith("https://")


@settings(max_examples=500, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def _random(targaryen, case):
    assert targaryen.unexplained(case) is None


def test_random_cases_are_answered_alike_or_differ_as_explained(targaryen):
    _random(targaryen)
    assert sum(targaryen.counts.values()) >= 400
    for verdict in ("allowed", "denied", "rejected"):
        assert sum(count for kind, count in targaryen.counts.items() if kind[1] == verdict) >= 40


def _swapped(left, operator, right):
    return operators.compare(left, {"<": "<=", "<=": "<"}.get(operator, operator), right)


def _lenient(expression, scope):
    try:
        return expression.run(scope) is True
    except Exception:
        return True


MUTANTS = {
    "< is <=": lambda: patch("rtdb_emulator.rules.expression.compare", _swapped),
    "1 equals true": lambda: patch.object(operators, "equal", lambda left, right: left == right),
    "% has the sign of the divisor": lambda: patch.dict(operators._ARITHMETIC, {"%": lambda a, b: a % b if b else 0}),
    "division by zero is infinite": lambda: patch.dict(operators._ARITHMETIC, {"/": lambda a, b: a / (b or 1e-320)}),
    "replace() once": lambda: patch.dict(operators.STRING_METHODS, {"replace": lambda t, a, b: t.replace(a, b, 1)}),
    "hasChildren() of any": lambda: patch.dict(
        snapshot.METHODS, {"hasChildren": lambda s, keys=(): any(map(s.has_child, keys)) or (not keys and s.exists())}
    ),
    "parent() of the root is the root": lambda: patch.dict(
        snapshot.METHODS, {"parent": lambda s: snapshot.Snapshot(s.root, s.path[:-1])}
    ),
    "an expression without a value allows": lambda: patch.object(ruleset, "allows", _lenient),
    "nothing is validated": lambda: patch.object(ruleset.Rules, "_is_valid", lambda *_: True),
    "only the written node is validated": lambda: patch.object(ruleset, "_below", lambda rule, place, *_: iter(())),
    "grants do not cascade": lambda: patch.object(
        ruleset.Rules, "_along", lambda self, path, real=ruleset.Rules._along: list(real(self, path))[-1:]
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_an_error_in_the_emulator_would_be_noticed(targaryen, mutant):
    with MUTANTS[mutant]():
        assert any(targaryen.unexplained(case) for case in rules_written.CASES)
