"""Which of the labels that an answer mentions it asserts, which it denies and which it leaves open.

A rule-based reader in the manner of NegEx (Chapman et al., J Biomed Inform 34:301-310, 2001): cue
phrases deny or leave open what follows or precedes them, within limits set by punctuation and
conjunctions. Where a sentence can be read both ways, the mention does *not* count as asserted: a
reward may miss an odd way to say the right thing, but must not pay for a denial.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from medreward.language import cues
from medreward.language.cues import Cue, CueKind
from medreward.language.lexicon import Mention
from medreward.text.words import Words


class Stance(Enum):
    """How an answer stands to a label that it mentions."""

    ASSERTED = "asserted"
    OPEN = "left open"
    DENIED = "denied"


def stances(
    text: Words, mentions: Sequence[Mention], absences: frozenset[int] = frozenset()
) -> list[Stance]:
    """Return how `text` stands to each of `mentions`.

    `absences` are the labels that say that nothing was found ("normal"): in "no A, B" they are
    taken to begin a statement of their own, where another label would continue the list.

    >>> from medreward.language.lexicon import Lexicon
    >>> from medreward.text.words import split
    >>> lexicon = Lexicon([["normal"], ["pneumonia"]])
    >>> def read(answer):
    ...     text = split(answer)
    ...     return [stance.value for stance in stances(text, lexicon.find(text))]
    >>> read("No pneumonia."), read("Pneumonia, not normal."), read("Pneumonia unlikely.")
    (['denied'], ['asserted', 'denied'], ['left open'])
    """
    reader = _StanceReader(text, mentions, absences)
    found = [Stance.DENIED if reader.is_not_meant(m) else Stance.ASSERTED for m in mentions]
    for cue in reader.cues():
        stance = Stance.OPEN if cue.kind is CueKind.OPEN else Stance.DENIED
        for index in reader.scope(cue):
            found[index] = stance
    for index, mention in enumerate(mentions):
        if found[index] is Stance.ASSERTED and reader.is_left_open(mention):
            found[index] = Stance.OPEN
    said = {m.label for m, s in zip(mentions, found, strict=True) if s is Stance.ASSERTED}
    for index, mention in enumerate(mentions):
        if said - {mention.label} and reader.is_of_the_rest(mention):
            found[index] = Stance.DENIED
    return found


def _sentence_ends(text: Words) -> list[bool]:
    """Tell for each gap whether a sentence or an item of a list ends there.

    A line break alone may only wrap a line; it ends an item where the next line is blank, begins
    with a bullet or with a key: "no effusion / Diagnosis: pneumonia".
    """
    return [
        not cues.SENTENCE_ENDS.isdisjoint(gap)
        or cues.NEW_ITEM.search(gap) is not None
        or ("\n" in gap and any(":" in g for g in text.gaps[i + 1 : i + 1 + cues.KEY_WINDOW]))
        for i, gap in enumerate(text.gaps)
    ]


def _is_pause(gap: str) -> bool:
    """Whether a comma, a bracket, a dash or a line break stands in `gap`."""
    return not {",", "(", ")", "\n"}.isdisjoint(gap) or cues.DASH.search(gap) is not None


class _StanceReader:
    """The words of one answer, with the labels it mentions, as the scope rules see them."""

    def __init__(self, text: Words, mentions: Sequence[Mention], absences: frozenset[int]) -> None:
        self.words, self.gaps = text
        self._ends = _sentence_ends(text)
        self.mentions = mentions
        self.absences = absences
        self._taken = {i for mention in mentions for i in range(mention.start, mention.stop)}

    def cues(self) -> Iterable[Cue]:
        """Yield the cue phrases outside of the mentions, each the longest at its place."""
        start = 0
        while start < len(self.words):
            stop = self._cue_stop(start)
            kinds = cues.CUE_TABLE.get(tuple(self.words[start:stop]), [])
            excluded = self._exclusion_stop(stop) if CueKind.NOT in kinds else stop
            if excluded > stop:
                kinds, stop = [CueKind.OPEN], excluded
            for kind in kinds:
                if kind is not CueKind.PSEUDO and self._means_no(start, kind):
                    yield Cue(kind, start, stop)
            start = max(stop, start + 1)

    def scope(self, cue: Cue) -> list[int]:
        """Return the indices of the mentions that `cue` denies or leaves open."""
        if cue.kind is CueKind.LIST:
            return [] if self._only_looks_back(cue) or self._is_particle(cue) else self._listed(cue)
        if cue.kind is CueKind.NEXT:
            return self._following(cue)
        if cue.kind is CueKind.BEFORE:
            return self._preceding(cue) if self._ends_segment(cue) else []
        if cue.kind is CueKind.NOT:
            return self._denied_by_not(cue)
        following = [] if "," in self.gaps[cue.stop] else self._following(cue)
        apart = _is_pause(self.gaps[cue.start]) or self._ends[cue.start]
        return following + ([] if apart and following else self._preceding(cue))

    def _denied_by_not(self, cue: Cue) -> list[int]:
        """What follows and, with a predicate but no mention in its clause, what stands before."""
        following = self._following(cue)
        clause = next(
            (i for i in range(cue.stop + 1, len(self.words)) if _is_pause(self.gaps[i])),
            len(self.words),
        )
        beside = any(self.mentions[i].start < clause for i in following)
        return (
            following
            if beside or not self._has_predicate(cue)
            else following + self._preceding(cue)
        )

    def is_not_meant(self, mention: Mention) -> bool:
        """Whether it is a likeness ("A-like"), marked "(-)" or "[ ]", or the "no" of "no doubt"."""
        i = mention.stop
        if self._is_idiom(mention) and self.words[i] in cues.ASSURANCES:
            return True
        likened = self.words[i : i + 1] in (("like",), ("ish",)) and self.gaps[i] == "-"
        unticked = cues.UNTICKED.search(self.gaps[mention.start]) is not None
        return likened or unticked or self.gaps[i].lstrip(" )\n").startswith("(-)")

    def is_of_the_rest(self, mention: Mention) -> bool:
        """Whether "otherwise" or "the rest" stands before "normal" in its sentence."""
        if mention.label not in self.absences:
            return False
        for i in range(mention.start, max(0, mention.start - cues.REST_WINDOW), -1):
            if self._ends[i] or self.words[i - 1] in cues.RESTS:
                return not self._ends[i]
        return False

    def is_left_open(self, mention: Mention) -> bool:
        """Whether the mention is asked about, one of several, conditional, or crossed out."""
        return (
            self._is_asked(mention)
            or self._is_alternative(mention)
            or self._is_conditional(mention)
            or self._is_crossed_out(mention)
            or self._is_idiom(mention)
            or self._has_exception(mention)
        )

    def _has_exception(self, mention: Mention) -> bool:
        """Whether a label is excepted from "normal": "normal apart from A"."""
        following = self.words[mention.stop : mention.stop + 2]
        excepted = following in cues.EXCEPTIONS or following[:1] == ("except",)
        if mention.label not in self.absences or not excepted:
            return False
        return any(m.start > mention.stop and m.label != mention.label for m in self.mentions)

    def _is_crossed_out(self, mention: Mention) -> bool:
        """Whether a "!", "?", strike-through or LaTeX's like stands right before the mention."""
        i = mention.start
        if cues.CROSSED_OUT.search(self.gaps[i]) or (not i and self.gaps[0].strip() == "?"):
            return True
        word, mark = (self.words[i - 1], self.gaps[i - 1][-1:]) if i else ("", "")
        tagged = self.gaps[i] == ">" and mark == "<" and word in cues.STRIKES
        return tagged or (mark == "\\" and word in cues.COMMANDS)

    def _is_conditional(self, mention: Mention) -> bool:
        """Whether the mention is a branch of a condition: "A if …", "if not A, B then C"."""
        start, stop = mention.start, mention.stop
        stop += self.words[stop : stop + 1] == ("only",)
        if not self._ends[stop] and not cues.CONDITIONS.isdisjoint(self.words[stop : stop + 1]):
            return True
        if self.words[max(0, start - 1)] not in cues.CONSEQUENCES:
            return False
        since = next((i for i in range(start, 0, -1) if self._ends[i]), 0)
        return not cues.CONDITIONS.isdisjoint(self.words[since:start])

    def _is_idiom(self, mention: Mention) -> bool:
        """Whether the mention is the "no" of a phrase such as "no idea"."""
        i = mention.stop
        followed = self.words[i : i + 1] and self.gaps[i].isspace()
        return self._is_no(mention) and bool(followed) and self.words[i] in cues.NO_IDIOMS

    def _is_asked(self, mention: Mention) -> bool:
        """Whether the mention stands in a question that no "yes" answers."""
        for i in range(mention.stop, len(self.gaps)):
            if self._ends[i]:
                return "?" in self.gaps[i] and self.words[i : i + 1] != ("yes",)
        return False

    def _is_alternative(self, mention: Mention) -> bool:
        """Whether "or" ties the mention to anything but its own label: "benign or cystic"."""
        own = {
            i
            for other in self.mentions
            if other.label == mention.label and other is not mention
            for i in range(other.start, other.stop)
        }
        start, stop = mention.start, mention.stop
        sides = [start - 1] if start and self.gaps[start] == "/" else []
        sides += [stop] if stop < len(self.words) and self.gaps[stop] == "/" else []
        sides += [start - 2] if self.words[max(0, start - 1)] in cues.ALTERNATIVES else []
        sides += [stop + 1] if not cues.ALTERNATIVES.isdisjoint(self.words[stop : stop + 1]) else []
        for i, other in ((start - 1, start - 2), (stop, stop + 1)):
            is_between = other in self._taken and not cues.BETWEEN.isdisjoint(self.words[i : i + 1])
            sides += [other] if is_between else []
        return any(i not in own for i in sides)

    def _means_no(self, start: int, kind: CueKind) -> bool:
        """Whether a cue is one: "0" may be an index unless it is a share or a label's value."""
        if self.words[start] != "0" or self.gaps[start + 1].startswith("%"):
            return True
        value = self.gaps[start].rstrip(" \"'").endswith((":", "="))
        return kind is CueKind.BEFORE and value and start - 1 in self._taken

    def _exclusion_stop(self, start: int) -> int:
        """Return where the "exclude" of "cannot exclude" ends, or `start` if there is none."""
        for i in range(start, min(start + cues.EXCLUSION_WINDOW, len(self.words))):
            if self._ends[i] or i in self._taken:
                break
            for stop in (i + 1, i + 2):
                if self.words[i:stop] in cues.EXCLUSIONS:
                    return stop
        return start

    def _cue_stop(self, start: int) -> int:
        best = start
        for stop in range(start + 1, min(start + cues.LONGEST_CUE, len(self.words)) + 1):
            if stop - 1 in self._taken or (stop > start + 1 and self._parts(stop - 1)):
                break
            if tuple(self.words[start:stop]) in cues.CUE_TABLE:
                best = stop
        return best

    def _parts(self, gap: int) -> bool:
        """Whether a gap keeps two words from being one phrase; a wrapped line does not."""
        return self._ends[gap] or _is_pause(self.gaps[gap].replace("\n", " "))

    def _only_looks_back(self, cue: Cue) -> bool:
        """Whether `cue` is the whole verdict on what stands before it, as in "A: no, B: yes"."""
        kinds = cues.CUE_TABLE[tuple(self.words[cue.start : cue.stop])]
        return CueKind.BEFORE in kinds and self._ends_segment(cue) and bool(self._preceding(cue))

    def _is_particle(self, cue: Cue) -> bool:
        """Whether `cue` answers a question and a clause of its own follows: "No, it is A"."""
        next_word = self.words[cue.stop : cue.stop + 1]
        return "," in self.gaps[cue.stop] and not cues.SUBJECTS.isdisjoint(next_word)

    def _listed(self, cue: Cue) -> list[int]:
        following = self._following(cue, through_commas=True)
        return [i for i in following if not self._begins_statement(cue, self.mentions[i])]

    def _begins_statement(self, cue: Cue, mention: Mention) -> bool:
        """Whether `mention` says that nothing was found, behind a pause, a colon or "and"."""
        between = range(cue.stop + 1, mention.start + 1)
        return mention.label in self.absences and any(
            _is_pause(self.gaps[i]) or ":" in self.gaps[i] or self.words[i - 1] == "and"
            for i in between
        )

    def _following(self, cue: Cue, *, through_commas: bool = False) -> list[int]:
        """Return the mentions after `cue` up to where its scope ends."""
        through_commas |= "," in self.gaps[cue.stop]  # "not, in my view, A"
        stop = self._forward_limit(cue.stop, through_commas=through_commas)
        return [i for i, m in enumerate(self.mentions) if cue.stop <= m.start < stop]

    def _forward_limit(self, start: int, *, through_commas: bool) -> int:
        for i in range(start, len(self.words)):
            if self._ends[i] and not (i == start and self._trails_off(i)):
                return i
            if self._is_free(i) and self.words[i] in cues.BREAKS:
                return i
            if i > start and self._closes(i, start, through_commas=through_commas):
                return i
        return len(self.words)

    def _trails_off(self, i: int) -> bool:
        """Whether the text goes on behind the gap before word `i`: "not ... A"."""
        return self.gaps[i].isspace() or "..." in self.gaps[i]

    def _closes(self, i: int, start: int, *, through_commas: bool) -> bool:
        """Whether what stands before word `i` ends the scope of a denial that begins at `start`.

        A colon where a mention lies behind does: "not A: B". So does a pause or "and", unless the
        denial goes through commas, a list or "between" holds both sides together, or brackets
        stand before the first mention: "not (obviously) A".
        """
        gap = self.gaps[i]
        labelled = any(start <= m.start < i for m in self.mentions)
        if labelled and ":" in gap:
            return True
        bracketed = not labelled and gap.strip(" ") in ("(", ")")
        if through_commas or bracketed or self._in_list(i):
            return False
        joined = self._is_free(i) and self.words[i] == "and"
        return _is_pause(gap) or (joined and "between" not in self.words[start:i])

    def _in_list(self, start: int) -> bool:
        """Whether "or" or "nor" follows before the sentence ends, as in "not A, B or C"."""
        for i in range(start, len(self.words)):
            if self._ends[i] or self.words[i] in cues.BREAKS:
                return False
            if self._is_free(i) and self.words[i] in ("or", "nor"):
                return True
        return False

    def _is_free(self, i: int) -> bool:
        return i not in self._taken

    def _ends_segment(self, cue: Cue) -> bool:
        """Whether nothing but punctuation follows `cue` before the next comma or sentence end."""
        after = self.gaps[cue.stop]
        hyphenated = self.gaps[cue.start] == "-"
        return (
            cue.stop == len(self.words)
            or hyphenated
            or _is_pause(after)
            or any(c in after for c in ".;:!?")
        )

    def _has_predicate(self, cue: Cue) -> bool:
        stop = min(cue.stop + cues.PREDICATE_WINDOW, len(self.words))
        for i in range(cue.stop, stop):
            if i > cue.stop and self._ends[i]:
                return False
            if self.words[i] in cues.PREDICATES:
                return True
        return False

    def _has_subject(self, between: range) -> bool:
        """Whether the clause behind the last pause in `between` is about something of its own."""
        begins = [i for i in between if _is_pause(self.gaps[i]) or self.words[i] in cues.BREAKS]
        clause = self.words[begins[-1] : between[-1]] if begins else ()
        links = cues.LINKS | cues.BREAKS
        return any(word not in links and not word.endswith("ly") for word in clause)

    def _is_no(self, mention: Mention) -> bool:
        return self.words[mention.start : mention.stop] == ("no",)

    def _agrees(self, mention: Mention, cue: Cue) -> bool:
        """Whether the denial `cue` only bears out the answer "no": "No, it is not"."""
        apart = "," in self.gaps[mention.stop]
        return self._is_no(mention) and apart and self.words[cue.start] not in cues.VERDICTS

    def _preceding(self, cue: Cue) -> list[int]:
        """Return the mention before `cue`, with those that "and" or "or" tie to it.

        A sentence end in between is crossed only where the cue opens its sentence: "Pneumonia? No."
        """
        found: list[int] = []
        right = cue.start
        for index in reversed(range(len(self.mentions))):
            mention = self.mentions[index]
            if mention.stop > cue.start or self._agrees(mention, cue):
                continue
            between = range(mention.stop, right + 1)
            ends = [i for i in between if self._ends[i]]
            if ends and (found or ends != [cue.start]):
                break
            if not found and self._has_subject(between):
                break
            if found and not any(self.words[i] in ("and", "or", "nor") for i in between[:-1]):
                break
            found.append(index)
            right = mention.start
        return found
