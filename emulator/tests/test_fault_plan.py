"""What can be set to go wrong, and the answer to an invalid body."""

import pytest

from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.plan import DeliveryRule, Plan, RequestRule, parse_plan

DELIVERY, REQUEST = {"trigger": "f"}, {"path": "a"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "the body is []: give an object with seed, rules"),
        ({}, "the body has no rules: give a list, empty for no faults"),
        ({"rules": {}}, "rules is {}: give a list, empty for no faults"),
        ({"rules": [], "sed": 1}, "the body has an unknown field 'sed': use seed, rules"),
        ({"rules": [], "seed": 1.5}, "seed is 1.5: give a whole number"),
        ({"rules": [DELIVERY, 3]}, "rules[1] is 3: give an object with either a trigger or a path"),
        ({"rules": [{**DELIVERY, **REQUEST}]}, "give an object with either a trigger or a path"),
        ({"rules": [{"trigger": ""}]}, "rules[0].trigger is '': give a text, * for all"),
        ({"rules": [{"path": "a/{id}"}]}, "rules[0].path is 'a/{id}': write * for a name in braces"),
        (
            {"rules": [{**DELIVERY, "fail": 0.1}]},
            "unknown field 'fail': use trigger, drop, duplicate, delay_ms",
        ),
        (
            {"rules": [{**REQUEST, "drop": 0.1}]},
            "rules[0] has an unknown field 'drop': use path, methods, fail",
        ),
        ({"rules": [{**DELIVERY, "drop": 1.1}]}, "rules[0].drop is 1.1: give a probability from 0 to 1"),
        ({"rules": [{**DELIVERY, "duplicate": -0.1}]}, "rules[0].duplicate is -0.1: give a probability from 0 to 1"),
        ({"rules": [{**REQUEST, "fail": True}]}, "rules[0].fail is True: give a probability from 0 to 1"),
        ({"rules": [{**DELIVERY, "drop": 0.7, "duplicate": 0.5}]}, "rules[0]: drop + duplicate is 1.2: lower them"),
        ({"rules": [{**DELIVERY, "delay_ms": 5}]}, "delay_ms is 5: give [shortest, longest] in milliseconds"),
        ({"rules": [{**DELIVERY, "delay_ms": [2, 1]}]}, "rules[0].delay_ms is [2, 1]: give [shortest, longest]"),
        ({"rules": [{**REQUEST, "stall_ms": [0, 10**9]}]}, "rules[0].stall_ms is [0, 1000000000]: give"),
        ({"rules": [{**DELIVERY, "reorder": 1}]}, "rules[0].reorder is 1: give true or false"),
        ({"rules": [{**REQUEST, "status": 200}]}, "rules[0].status is 200: give a whole number from 400 to 599"),
        ({"rules": [{**REQUEST, "methods": ["get"]}]}, "rules[0].methods is ['get']: give a list of some of GET, PUT"),
    ],
)
def test_an_invalid_plan_is_rejected_with_what_to_write_instead(body, said):
    with pytest.raises(ServiceError) as rejected:
        parse_plan(body)
    assert rejected.value.status == 400
    assert said in rejected.value.message


def test_defaults_are_no_fault():
    plan = parse_plan({"rules": [DELIVERY, REQUEST]})
    assert plan == Plan(0, (DeliveryRule("f"), RequestRule("a")))
    assert (plan.rules[0].drop, plan.rules[0].duplicate, plan.rules[0].delay_ms) == (0, 0, (0, 0))
    assert (plan.rules[1].fail, plan.rules[1].stall_ms, plan.rules[1].status) == (0, (0, 0), 503)


def test_probabilities_may_add_up_to_1():
    assert parse_plan({"rules": [{"trigger": "f", "drop": 0.9, "duplicate": 0.1}]}).rules
