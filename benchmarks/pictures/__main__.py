"""Run as ``python -m benchmarks.pictures``."""

import sys

from benchmarks.pictures.command import main

sys.exit(main(sys.argv[1:]))
