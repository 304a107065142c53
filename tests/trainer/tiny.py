"""Options that train a model in seconds, for tests of anything but its quality.

``python -m tests.trainer.tiny COMMAND ...`` is the command line with them, in a process of its own.
"""

import sys
from dataclasses import replace

from trainer.config import DEFAULTS

TINY = replace(
    DEFAULTS,
    epochs=2,
    folds=1,
    embedding_dims=(("batch", 16), ("catalogue", 16)),
    reranker_epochs=(0, 2),
    reranker_folds=2,
)

COMMANDS = ("trainer.commands.evaluate", "trainer.commands.run")
"""The modules that make a configuration of ``DEFAULTS`` and the words of a command; ``train`` uses that of ``run``."""

if __name__ == "__main__":
    from trainer import commands
    from trainer.__main__ import main

    commands.evaluate.DEFAULTS = commands.run.DEFAULTS = TINY
    sys.exit(main())
