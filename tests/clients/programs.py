"""A program that runs the guide's code: it reads calls and writes results, each a line of JSON.

In between it may ask for the runtime of the model files, which phones have and the program lacks.
"""

import functools
import json
import os
import subprocess

import numpy as np

from trainer.serving.runtimes import interpreter


@functools.cache
def model(path):
    """Return a file in LiteRT."""
    with open(path, "rb") as file:  # noqa: PTH123 -- the path is the program's text
        return interpreter(file.read())


def plain(value):
    """Return a tensor as JSON, with bytes as texts."""
    return [plain(child) for child in value] if isinstance(value, list) else getattr(value, "decode", lambda: value)()


def run_signature(path, signature, inputs):
    """Run one signature of a file, with inputs as JSON, and return its outputs as arrays."""
    runner = model(path).get_signature_runner(signature)
    kinds = {name: detail["dtype"] for name, detail in runner.get_input_details().items()}
    assert set(inputs) == set(kinds)
    return runner(
        **{
            name: np.array(
                [text.encode() for text in values] if kinds[name] in (np.bytes_, object) else values, kinds[name]
            )
            for name, values in inputs.items()
        }
    )


class Program:
    """A running program and its calls."""

    def __init__(self, command, **more):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FIREBASE_")}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, **more
        )

    def __call__(self, call, **fields):
        """Make a call and return its result."""
        self._tell({"call": call, **fields})
        while True:
            line = self._process.stdout.readline()
            assert line, f"the program ended in {call}"
            message = json.loads(line)
            if "result" in message:
                return message["result"]
            assert "error" not in message, message["error"]
            self._tell(self._answer(**message))

    def end(self):
        """End the program by closing its input."""
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        self._process.stdout.close()

    def _answer(self, file, signature, inputs=None, output=None):
        if output is not None:
            details = model(file).get_signature_runner(signature).get_output_details()
            return [int(size) for size in details[output]["shape"]]
        outputs = run_signature(file, signature, inputs)
        return {name: plain(value.tolist()) for name, value in outputs.items()}

    def _tell(self, value):
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()
