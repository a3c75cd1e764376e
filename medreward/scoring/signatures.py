"""The signatures of many scores, told as one for each set of settings.

Where prompts list labels in an order of each row's own, so does their knowledge, and each order has
a digest of its own in `Score.signature`. A run has one signature to report all the same: with one
digest of the knowledge of all rows that does not depend on the order of words, so that it is the
same for the rows of training, validation and test.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from hashlib import sha256

from medreward.scoring.scorer import knowledge_digest

_MARK = "|knowledge:"


class SignatureSet:
    """Gathers the signatures of scores, with what was injected into their prompts.

    >>> found = SignatureSet()
    >>> found.add("medreward:1|delta:-1|knowledge:f204c740", "A cyst is dark. A mass is bright.")
    >>> found.texts()
    ['medreward:1|delta:-1|knowledge:f204c740']
    >>> found.add("medreward:1|delta:-1|knowledge:461460da", "A mass is bright. A cyst is dark.")
    >>> found.texts()
    ['medreward:1|delta:-1|knowledge:rows:5d34eefb']
    """

    def __init__(self) -> None:
        self.settings: Counter[str] = Counter()  # signatures without knowledge
        self._exact: dict[str, set[str]] = {}
        self._unordered: dict[str, set[str]] = {}

    def add(self, signature: str, knowledge: str | None) -> None:
        """Take in the signature of a score.

        Args:
            signature: `Score.signature`.
            knowledge: the text in the row's prompt; None where only its digest is known.
        """
        settings, _, exact = signature.partition(_MARK)
        self.settings[settings] += 1
        known = self._exact.setdefault(settings, set())
        if len(known) < 2:  # no more than whether there are several is asked
            known.add(exact)
        if knowledge is not None and knowledge_digest(knowledge) != exact:
            knowledge = None
        form = f"#{exact}" if knowledge is None else _unordered(knowledge)
        self._unordered.setdefault(settings, set()).add(form)

    def texts(self) -> list[str]:
        """Return a signature for each set of settings, the most frequent first."""
        return [self._text(settings) for settings, _ in self.settings.most_common()]

    def _text(self, settings: str) -> str:
        exact, forms = self._exact[settings], self._unordered[settings]
        if len(exact) == 1:
            one = next(iter(exact))
            return f"{settings}{_MARK}{one}" if one else settings
        joined = "\n".join(sorted(forms))
        return f"{settings}{_MARK}rows:{knowledge_digest(joined)}"


@lru_cache(maxsize=4096)
def _unordered(knowledge: str) -> str:
    """Return a digest of a text's words in whatever order, "" of an empty text."""
    words = " ".join(sorted(knowledge.split()))
    return sha256(words.encode("utf-8", "surrogatepass")).hexdigest() if words else ""
