"""``python -m scriptmode``."""

import sys

from scriptmode.cli import main

if __name__ == "__main__":
    sys.exit(main())
