"""A client of the SDKs' protocol without a connection."""

import asyncio
import json

from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire.session import Session


class Conversation:
    """One client's requests, and what it receives."""

    def __init__(self, database, faults=None):
        self.pushes, self.controls, self.timers, self._answers, self._numbers = [], [], [], {}, 0
        self.session = Session(database, faults or Faults(), self._receive, self._later)

    def ask(self, action, path=None, **body):
        """Send a request; return its response."""
        self._numbers += 1
        body = body if path is None else {"p": path, **body}
        self.say({"t": "d", "d": {"r": self._numbers, "a": action, "b": body}})
        return self._answers.pop(self._numbers)

    def say(self, message):
        asyncio.run(self.session.take(message if isinstance(message, str) else json.dumps(message)))

    def told(self, action, body):
        self.pushes.append((action, body))

    def _receive(self, text):
        message = json.loads(text)
        if message["t"] == "c":
            self.controls.append(message["d"])
        elif "r" in message["d"]:
            self._answers[message["d"]["r"]] = message["d"]["b"]
        else:
            self.told(message["d"]["a"], message["d"]["b"])

    def _later(self, wait_s, act):
        timer = (wait_s, act)
        self.timers.append(timer)
        return lambda: self.timers.remove(timer) if timer in self.timers else None
