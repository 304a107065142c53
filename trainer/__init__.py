"""The trainer: one run from data to a published model, as a command and as a container job."""

import os

# TensorFlow Recommenders is written for Keras 2; TensorFlow reads this when it is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
