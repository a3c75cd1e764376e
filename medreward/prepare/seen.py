"""Which pictures a run has seen, however many: in a temporary file that ends with the process."""

from __future__ import annotations

import sqlite3

from medreward.errors import ConfigError
from medreward.prepare.outcome import Identity


class SeenPictures:
    """The first record of each picture, by the digest of its pixels.

    The table is SQLite's temporary database: it stays in a cache of a few MB as long as it fits,
    and goes to a file in the system's folder for temporary files (``TMPDIR``) that has no name and
    is gone when the process ends, however it ends. It takes about 100 bytes a picture there.

    >>> seen, one, two = SeenPictures(), Identity("a", "train", 0, 0), Identity("b", "test", 1, 0)
    >>> seen.first(b"1", one), seen.first(b"1", two).where
    (None, 'a')
    """

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000; BEGIN;"
            "CREATE TABLE seen (digest BLOB PRIMARY KEY, place INT, target INT, split TEXT, name) "
            "WITHOUT ROWID"
        )

    def first(self, digest: bytes, one: Identity) -> Identity | None:
        """Return the first record with these pixels; None if it is this one, which is noted.

        Raises:
            ConfigError: if there is no room for temporary files.
        """
        where = one.where.encode("utf-8", "surrogatepass")
        row = (digest, one.place, one.target, one.split, where)
        try:
            added = self._table.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", row)
            if added.rowcount:
                return None
            found = self._table.execute("SELECT * FROM seen WHERE digest = ?", (digest,))
            _, place, target, split, name = found.fetchone()
        except sqlite3.Error as error:
            raise ConfigError(
                f"no room for the list of pictures that were seen ({error}); TMPDIR names another "
                f"folder for temporary files"
            ) from error
        return Identity(name.decode("utf-8", "surrogatepass"), split, place, target)
