"""Where a reader opens what a card cites."""

from __future__ import annotations

import re

_LINKS = (
    (re.compile(r"https?://\S+"), "{}"),
    (re.compile(r"\b10\.[0-9]{4,9}/\S+"), "https://doi.org/{}"),
    (re.compile(r"\barXiv:([0-9]{4}\.[0-9]{4,5})"), "https://arxiv.org/abs/{}"),
    (re.compile(r"\b(PMC[0-9]{4,})\b"), "https://pmc.ncbi.nlm.nih.gov/articles/{}/"),
)


def link_of(citation: str, url: str = "") -> str:
    """Return the address of a reference: the one it gives, or the one its citation holds.

    A citation may hold an address, a DOI, an arXiv number or one of PubMed Central; "" for none.

    >>> link_of("Author A. On cells. 2020, doi:10.1000/182.")
    'https://doi.org/10.1000/182'
    >>> link_of("Author A. On cells. arXiv:2409.11546, 2024.")
    'https://arxiv.org/abs/2409.11546'
    """
    if url:
        return url
    for pattern, address in _LINKS:
        found = pattern.search(citation)
        if found:
            return address.format(found[pattern.groups].rstrip(".,;:)"))
    return ""
