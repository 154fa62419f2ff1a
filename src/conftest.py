"""What doctests need before any is collected.

Pytest imports each module by its file, and then puts it into its package under its name: the module ``load`` in the
place of the function `potstill.data.load`. It leaves alone what is imported already.
"""

import potstill.data
import potstill.engine
import potstill.networks
import potstill.recipes  # noqa: F401
