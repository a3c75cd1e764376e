"""Print the options of ``swift rlhf`` for tasks, or the plugin's path where none is named."""

import shlex
import sys

from medreward import ConfigError
from medreward_swift.options import plugin_path, swift_options

try:
    found = swift_options(sys.argv[1:]) if sys.argv[1:] else [str(plugin_path())]
except ConfigError as error:
    sys.exit(f"python -m medreward_swift: {error}")
print(shlex.join(found))
