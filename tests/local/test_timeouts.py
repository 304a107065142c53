"""What the database emulator is told of the functions: how long the functions emulator lets each of them run."""

import ast

from local.stack import ROOT, TIMEOUTS_S


def test_the_time_limits_are_those_of_the_functions():
    limits = {}
    for node in ast.parse((ROOT / "functions" / "main.py").read_text()).body:
        for call in getattr(node, "decorator_list", []):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("db_fn."):
                named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg == "timeout_sec"}
                limits[node.name] = named.get("timeout_sec", 60)
    assert len(limits) >= 2
    assert {name: limit for name, limit in limits.items() if limit != 60} == TIMEOUTS_S
