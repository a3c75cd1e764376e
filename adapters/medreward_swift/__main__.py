"""Print the options of ``swift rlhf`` for tasks, or the plugin's path where none is named."""

import argparse
import shlex
import sys

from medreward import ConfigError
from medreward_swift.options import check_names, plugin_path, swift_options

_CARDS = "cards of your own are named in MEDREWARD_SETTINGS='{tasks: {SOURCE: CARD.yaml}}'"


def main() -> None:
    """Print the options, or what is wrong."""
    parser = argparse.ArgumentParser(
        "python -m medreward_swift",
        description="Prints the options of `swift rlhf` that use the rewards of tasks; without a "
        "task the plugin's path.",
        epilog=_CARDS,
    )
    parser.add_argument("task", nargs="*", help="a shipped task, or a SOURCE that settings name")
    tasks = parser.parse_args().task
    try:
        check_names(tasks)
        found = swift_options(tasks) if tasks else [str(plugin_path())]
    except ConfigError as error:
        named = f"; {_CARDS}" if "tasks={SOURCE" in str(error) else ""
        sys.exit(f"python -m medreward_swift: {error}{named}")
    print(shlex.join(found))


main()
