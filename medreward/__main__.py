"""``python -m medreward``."""

import sys

from medreward.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
