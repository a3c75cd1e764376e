"""Shares, such as "90%", and fields, such as "present": true, as verdicts.

More than half is a positive verdict, less a negative one; half leaves a label open. The same holds
of "confidence: 90%", which says nothing where it is more than half.
"""

from __future__ import annotations

from collections.abc import Sequence

from medreward.language.tokens import NUMBER, SHARE, SILENT, Token

# Words that wait for a share, what may stand in between, and verdicts that one bears out.
_WAITING, _ON_THE_WAY, _CERTAIN = frozenset("ch"), frozenset(":fFo"), frozenset("ph")
# Fields such as "present": their names, their values, and those values that say yes.
_FIELD_NAMES, _FIELD_VALUES, _POSITIVE = frozenset("pa"), frozenset("ynpa"), frozenset("yp")


def read_certainty(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens with shares as verdicts, and without how sure the model says it is.

    More than half is a positive verdict, less a negative one; half leaves a label open. The same
    holds of "confidence: 90%", which says nothing where it is more than half.
    """
    found: list[Token] = []
    last: int | None = None  # of a share, or of a word such as "confidence" that waits for one
    for token in tokens:
        waits = last is not None and found[last].code == "c"
        value = _share(token, found, waits)
        if value is not None:
            code = "q" if value == 0.5 else "p" if value > 0.5 else "a"
            if waits:
                found = _unjoined(found[:last])
                code = "f" if code == "p" else "q"
            found.append(token._replace(code=code))
            last = None if waits else len(found) - 1
        elif token.code == "c" and last is not None and not waits:  # "with 90% confidence"
            found[last] = found[last]._replace(code="f" if found[last].code in _CERTAIN else "q")
            found[:last] = _unjoined(found[:last])
            last = None
        else:
            found.append(token)
            if token.code in _WAITING:
                last = len(found) - 1
            elif token.code not in _ON_THE_WAY:
                last = None
    return _without_fields(found)


def _unjoined(tokens: list[Token]) -> list[Token]:
    """Return tokens with what joins them to the next one, as "with a" does, made silent."""
    for i in range(len(tokens) - 1, -1, -1):
        if tokens[i].code == "&":
            return [*tokens[:i], tokens[i]._replace(code="f"), *tokens[i + 1 :]]
        if tokens[i].code not in SILENT:
            break
    return tokens


def _without_fields(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens with `"present": true`, `"absent": false` and the like as one verdict."""
    found: list[Token] = []
    for token in tokens:
        codes = [one.code for one in found[-2:]]
        is_field = (
            len(codes) == 2 and codes[0] in _FIELD_NAMES and codes[1] == ":" and not found[-2].text
        )
        if is_field and token.code in _FIELD_VALUES:
            agrees = (codes[0] == "p") == (token.code in _POSITIVE)
            found[-2:] = [found[-2]._replace(code="p" if agrees else "a")]
        else:
            found.append(token)
    return found


def _share(token: Token, before: Sequence[Token], waits: bool) -> float | None:
    """Return the share that a token is, None if it is none; `waits`: one is waited for."""
    if token.code == SHARE:
        return token.share
    if token.code == "h" and waits:
        return 1.0
    if token.code != NUMBER:
        return None
    if waits:
        return token.share if token.share <= 1 else token.share / 100
    is_decimal = "." in token.text or token.text in ("0", "1")
    is_value = bool(before) and before[-1].code == ":" and is_decimal
    return token.share if is_value and 0 <= token.share <= 1 else None
