"""``python -m potstill``: the command line."""

import sys

from potstill.cli import main

sys.exit(main())
