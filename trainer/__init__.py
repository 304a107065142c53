"""The trainer: one run from data to a published model, as a command and as a container job."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

# TensorFlow Recommenders is written for Keras 2; TensorFlow reads this when it is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class _TfliteFirst(MetaPathFinder):
    """Has tflite-runtime loaded before TensorFlow, whoever imports that, and not at all where nobody does.

    The two carry the same C++ symbols: loaded after TensorFlow, tflite-runtime 2.14 finds TensorFlow's and reads a
    model's signatures wrongly ("vector::reserve"). Loaded first, each keeps its own. It is not simply imported here
    since a command's ``--help`` should not wait for it.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Find nothing: the import goes on as it would have."""
        if name in ("tensorflow", "ai_edge_litert"):
            import tflite_runtime.interpreter  # noqa: F401


sys.meta_path.insert(0, _TfliteFirst())
