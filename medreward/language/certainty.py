"""Shares, such as "90%", and fields, such as "present": true, as verdicts.

More than half is a positive verdict, less a negative one; half leaves a label open. The same holds
of "confidence: 90%", which says nothing where it is more than half.
"""

from __future__ import annotations

from collections.abc import Sequence

from medreward.language.tokens import NUMBER, SHARE, SILENT, UNKNOWN, Sense, Token

# Words that wait for a share, what may stand in between, and verdicts that one bears out.
_WAITING, _ON_THE_WAY, _CERTAIN = frozenset("ch"), frozenset(":fFo"), frozenset("ph")
_DENIALS = frozenset("ndt")
# Fields such as "present": the values of each, those that say yes, what may stand behind one.
_FIELDS = {"p": "ynpa", "a": "pa"}
_POSITIVE, _FIELD_ENDS, _COLONS = frozenset("yp"), frozenset(",.?"), frozenset(":=")


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
        if value is not None and found and found[-1].code in _DENIALS:
            found.append(token._replace(code=UNKNOWN))  # "not 90%"
            last = None
        elif value is not None:
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
    """Return tokens with `"present": true`, `"absent": false` and the like as one verdict.

    A field has a colon, and no dash, before its value, and nothing of the same part behind it:
    "A is seen - no B", "negative: no B" are none. What is absent has true or false for its value,
    as "absent: no" may mean either.
    """
    found: list[Token] = []
    for i, token in enumerate(tokens):
        name = found[-2] if len(found) > 1 and _is_colon(found[-1]) else None
        ends = i + 1 == len(tokens) or tokens[i + 1].code in _FIELD_ENDS
        values = _FIELDS.get(name.code, "") if name and ends and not name.text else ""
        if name and name.code == "a" and token.sense is not Sense.BOOLEAN:
            values = ""  # "A not seen: negative"
        if name and token.code in values:
            agrees = (name.code == "p") == (token.code in _POSITIVE)
            found[-2:] = [name._replace(code="p" if agrees else "a", share=token.share)]
        else:
            found.append(token)
    return found


def _is_colon(token: Token) -> bool:
    return token.code == ":" and token.text in _COLONS


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
