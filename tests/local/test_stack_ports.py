"""A port that another program takes while a stack starts."""

import socket

import pytest

from local import stack as stacks
from local.processes import free_port
from local.stack import ATTEMPTS, PORT_TAKEN, PortTakenError, Stack


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Start a stack without the Emulator Suite, with these ports for Cloud Storage; return it and what it said."""

    def start(ports):
        said, before_storage = [], len((*stacks.EMULATORS, *stacks.SUPPORTING, "ui"))
        chosen = [free_port() for _ in ports for _ in range(before_storage + 2)]
        chosen[before_storage :: before_storage + 2] = ports
        monkeypatch.setattr(stacks, "free_port", iter(chosen).__next__)
        monkeypatch.setattr(Stack, "_start_suite", lambda self: None)
        return Stack(data=None, logs=tmp_path, fresh_ports=True, say=said.append), said

    return start


def test_the_stack_starts_again_with_other_ports(start, taken):
    another = free_port()
    stack, said = start([taken, another])
    with stack:
        assert stack.addresses.storage == f"127.0.0.1:{another}"
        assert stack.bucket.names() == []
        stack.check()
    assert stack.processes.alive() == []
    assert said[0].startswith("Cloud Storage ended with code ")
    assert said[0].endswith("starting again with other ports")


def test_it_gives_up_in_the_end_and_leaves_nothing_running(start, taken):
    stack, said = start([taken] * ATTEMPTS)
    with pytest.raises(PortTakenError, match="address already in use"):
        stack.__enter__()
    assert len(said) == ATTEMPTS - 1
    assert stack.processes.alive() == []


@pytest.mark.parametrize(
    "line",
    [
        "Error: Could not start Database Emulator, port taken.",
        "Database Emulator has exited because its configured port 9000 is already in use.",
        "listen tcp 127.0.0.1:4443: bind: address already in use",
        "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 9199): address already in use",
    ],
)
def test_each_program_says_it_in_words_that_are_known(line):
    assert PORT_TAKEN.search(f"before\n{line}\nafter")
