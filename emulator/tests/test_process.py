import signal
import socket

import pytest
import requests

from rtdb_emulator.launch.process import running, start


def test_it_answers_within_the_block_and_is_gone_after_it():
    with running() as emulator:
        assert requests.get(f"http://{emulator.address}/x.json?ns=n", timeout=5).json() is None
    assert emulator.process.returncode == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{emulator.address}/x.json?ns=n", timeout=5)


def test_it_starts_again_on_the_same_port():
    first = start()
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    second = start(port=first.port)
    assert second.address == first.address
    assert second.stop() == 0


def test_a_start_that_fails_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(RuntimeError, match="ended with code 1"), running(port=taken.getsockname()[1]):
            pass
