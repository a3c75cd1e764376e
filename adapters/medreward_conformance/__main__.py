"""``python -m medreward_conformance TRAINER``, where the command line is not installed."""

import argparse
import sys

from medreward import ConfigError
from medreward_conformance.command import add_parser

parser = argparse.ArgumentParser(prog="python -m medreward_conformance")
add_parser(parser.add_subparsers(required=True))
arguments = parser.parse_args(["conformance", *sys.argv[1:]])
try:
    sys.exit(arguments.run(arguments))
except ConfigError as error:
    sys.exit(f"{parser.prog}: {error}")
