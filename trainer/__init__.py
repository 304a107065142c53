"""The trainer: one run from data to a published model, as a command and as a container job."""

import os

# TensorFlow Recommenders is written for Keras 2; TensorFlow reads this when it is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# The two carry the same C++ symbols: loaded after TensorFlow, tflite-runtime 2.14 finds TensorFlow's and reads a
# model's signatures wrongly ("vector::reserve"). Loaded first, each keeps its own.
import tflite_runtime.interpreter  # noqa: F401
