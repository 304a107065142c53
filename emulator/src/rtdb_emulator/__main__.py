"""``python -m rtdb_emulator``, the same as the command ``rtdb-emulator``."""

import sys

from rtdb_emulator.launch.command import main

if __name__ == "__main__":
    sys.exit(main())
