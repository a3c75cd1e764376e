"""Run the benchmark: python -m benchmarks.reading."""

from benchmarks.reading.command import main

main()
