"""Print the path of the file that EasyR1 loads."""

from pathlib import Path

print(Path(__file__).with_name("__init__.py"))
