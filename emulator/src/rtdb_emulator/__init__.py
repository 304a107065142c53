"""A Realtime Database emulator in Python, without Java and without a download.

``data`` is the tree, ``rules`` what may be read and written, ``database`` both together with who listens, ``triggers``
and ``faults`` what follows a write or goes wrong, ``wire`` the protocols, ``launch`` the program.
"""

__version__ = "1.0.0"
