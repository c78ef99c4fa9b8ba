"""``python -m triggers_nb``: the command ``triggers-nb``."""

import sys

from triggers_nb.cli import main

sys.exit(main())
