"""``python -m penchant`` is the command line."""

import sys

from penchant.cli import main

if __name__ == "__main__":
    sys.exit(main())
