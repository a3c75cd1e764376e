"""``python -m benchmarks.speed``.

Worker processes import the main module: it imports nothing, or `prepare` would wait for them.
"""

if __name__ == "__main__":
    from benchmarks.speed.command import main

    main()
