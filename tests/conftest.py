"""What all tests share."""

import tflite_runtime.interpreter  # noqa: F401  (before TensorFlow: see trainer/__init__.py)
from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
