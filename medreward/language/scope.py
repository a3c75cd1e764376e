"""Which of the labels that an answer mentions it asserts, which it denies and which it leaves open.

A rule-based reader in the manner of NegEx (Chapman et al., J Biomed Inform 34:301-310, 2001): cue
phrases deny or leave open what follows or precedes them, within limits set by punctuation and
conjunctions. Where a sentence can be read both ways, the mention does *not* count as asserted: a
reward may miss an odd way to say the right thing, but must not pay for a denial.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import cached_property
from itertools import accumulate

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
    # What the last cue says of a mention counts, so the last one is asked first.
    said_of: dict[int, Stance] = {}
    for cue in reversed([*reader.cues()]):
        stance = Stance.OPEN if cue.kind is CueKind.OPEN else Stance.DENIED
        for index in reader.scope(cue):
            said_of.setdefault(index, stance)
    for index, stance in said_of.items():
        found[index] = stance
    for index, mention in enumerate(mentions):
        if found[index] is Stance.ASSERTED and reader.is_left_open(mention):
            found[index] = Stance.OPEN
    said = {m.label for m, s in zip(mentions, found, strict=True) if s is Stance.ASSERTED}
    for index, mention in enumerate(mentions):
        others = len(said) > 1 or (said and mention.label not in said)
        if others and reader.is_of_the_rest(mention):
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


class _Unclaimed:
    """Mentions that no cue has claimed yet: each is claimed once, in time linear in all."""

    def __init__(self, starts: Sequence[int], indices: Sequence[int]) -> None:
        """Take where mentions start, in rising order, and their indices."""
        self._starts, self._indices = starts, indices
        self._next = list(range(len(indices) + 1))

    def claim(self, start: int, stop: int) -> Iterator[int]:
        """Yield the mentions that start within [start, stop) and were not claimed before."""
        place = self._free_from(bisect_left(self._starts, start))
        while place < len(self._indices) and self._starts[place] < stop:
            yield self._indices[place]
            self._next[place] = place + 1
            place = self._free_from(place + 1)

    def _free_from(self, place: int) -> int:
        """Return the first place from `place` on that is not claimed; shortens the way there."""
        way = []
        while self._next[place] != place:
            way.append(place)
            place = self._next[place]
        for passed in way:
            self._next[passed] = place
        return place


def _next_where(marks: Sequence[bool]) -> list[int]:
    """Return for each place, and for the one behind the last, the first mark from it on.

    >>> _next_where([False, True, False])
    [1, 1, 3, 3]
    """
    found = [len(marks)] * (len(marks) + 1)
    for i in range(len(marks) - 1, -1, -1):
        found[i] = i if marks[i] else found[i + 1]
    return found


def _last_where(marks: Sequence[bool]) -> list[int]:
    """Return for each place the last mark up to it, or -1.

    >>> _last_where([False, True, False])
    [-1, 1, 1]
    """
    last = -1
    return [last := i if mark else last for i, mark in enumerate(marks)]


class _StanceReader:
    """The words of one answer, with the labels it mentions, as the scope rules see them.

    Where a rule looks ahead or back for the end of a scope, the place is looked up in a table that
    is made once, so that a text takes time linear in its length however many cues it has. `scope`
    is to be asked for the cues from the last to the first.
    """

    def __init__(self, text: Words, mentions: Sequence[Mention], absences: frozenset[int]) -> None:
        self.words, self.gaps = text
        self._ends = _sentence_ends(text)
        self.mentions = mentions
        self.absences = absences
        self._label_at = {i: m.label for m in mentions for i in range(m.start, m.stop)}
        self._starts = [m.start for m in mentions]
        self._stops = [m.stop for m in mentions]
        self._unclaimed = {
            is_absence: _Unclaimed(*self._places(is_absence)) for is_absence in (False, True)
        }
        self._claimed_back: set[tuple[int, bool]] = set()

    def _places(self, is_absence: bool) -> tuple[list[int], list[int]]:
        """Return where mentions of absences, or all others, start, and their indices."""
        chosen = [
            (m.start, i)
            for i, m in enumerate(self.mentions)
            if (m.label in self.absences) == is_absence
        ]
        return [start for start, _ in chosen], [i for _, i in chosen]

    @cached_property
    def _pauses(self) -> list[bool]:
        return [_is_pause(gap) for gap in self.gaps]

    @cached_property
    def _next_end(self) -> list[int]:
        return _next_where(self._ends)

    @cached_property
    def _next_pause(self) -> list[int]:
        return _next_where(self._pauses)

    @cached_property
    def _next_break(self) -> list[int]:
        return _next_where(
            [self._is_free(i) and word in cues.BREAKS for i, word in enumerate(self.words)]
        )

    @cached_property
    def _next_colon(self) -> list[int]:
        return _next_where([":" in gap for gap in self.gaps])

    @cached_property
    def _next_between(self) -> list[int]:
        return _next_where([word == "between" for word in self.words])

    @cached_property
    def _next_statement(self) -> list[int]:
        """Where a statement of its own may begin: behind a pause, a colon or "and"."""
        return _next_where(
            [
                pause or ":" in gap or (i > 0 and self.words[i - 1] == "and")
                for i, (pause, gap) in enumerate(zip(self._pauses, self.gaps, strict=True))
            ]
        )

    @cached_property
    def _in_list(self) -> list[bool]:
        """Whether "or" or "nor" follows before the sentence ends, as in "not A, B or C"."""
        found = [False] * (len(self.words) + 1)
        for i in range(len(self.words) - 1, -1, -1):
            word = self.words[i]
            if self._ends[i] or word in cues.BREAKS:
                continue
            found[i] = found[i + 1] or (self._is_free(i) and word in ("or", "nor"))
        return found

    def _is_bracket(self, gap: str) -> bool:
        return gap.strip(" ") in ("(", ")")

    @cached_property
    def _next_closing_pause(self) -> list[int]:
        """Where a pause that is no bracket closes a scope."""
        return _next_where(
            [
                pause and not self._in_list[i] and not self._is_bracket(self.gaps[i])
                for i, pause in enumerate(self._pauses)
            ]
        )

    @cached_property
    def _next_closing_bracket(self) -> list[int]:
        """Where a bracket closes the scope of a denial that has a mention."""
        return _next_where(
            [
                pause and not self._in_list[i] and self._is_bracket(self.gaps[i])
                for i, pause in enumerate(self._pauses)
            ]
        )

    @cached_property
    def _next_closing_and(self) -> list[int]:
        """Where an "and" that stands behind no bracket closes a scope."""
        return _next_where([x and not self._is_bracket(g) for x, g in self._closing_ands])

    @cached_property
    def _next_closing_bracket_and(self) -> list[int]:
        """Where an "and" behind a bracket closes the scope of a denial that has a mention."""
        return _next_where([x and self._is_bracket(g) for x, g in self._closing_ands])

    @cached_property
    def _closing_ands(self) -> list[tuple[bool, str]]:
        """Tell for each word whether it is an "and" outside of lists, with the gap before it."""
        return [
            (word == "and" and self._is_free(i) and not self._in_list[i], self.gaps[i])
            for i, word in enumerate(self.words)
        ]

    @cached_property
    def _ends_before(self) -> list[int]:
        return [0, *accumulate(map(int, self._ends))]

    @cached_property
    def _ties_before(self) -> list[int]:
        return [0, *accumulate(int(word in ("and", "or", "nor")) for word in self.words)]

    @cached_property
    def _conditions_before(self) -> list[int]:
        return [0, *accumulate(int(word in cues.CONDITIONS) for word in self.words)]

    @cached_property
    def _last_end(self) -> list[int]:
        return _last_where(self._ends)

    @cached_property
    def _last_clause(self) -> list[int]:
        """Where the clause that a place is in begins, or -1."""
        breaks = [*(word in cues.BREAKS for word in self.words), False]
        return _last_where([a or b for a, b in zip(self._pauses, breaks, strict=True)])

    @cached_property
    def _next_content(self) -> list[int]:
        """The next word that a clause may be about."""
        links = cues.LINKS | cues.BREAKS
        return _next_where([w not in links and not w.endswith("ly") for w in self.words])

    @cached_property
    def _last_disagreeing(self) -> list[int]:
        """The last mention up to each one that no denial only bears out."""
        return _last_where([not self._agrees(mention) for mention in self.mentions])

    @cached_property
    def _labels_from(self) -> list[frozenset[int]]:
        """Two of the labels, if there are two, of the mentions from each one on."""
        found = [frozenset[int]()] * (len(self.mentions) + 1)
        for i in range(len(self.mentions) - 1, -1, -1):
            after, label = found[i + 1], self.mentions[i].label
            found[i] = after if len(after) > 1 or label in after else after | {label}
        return found

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

    def scope(self, cue: Cue) -> Iterator[int]:
        """Yield the mentions that `cue` denies or leaves open and that no later cue does."""
        if cue.kind is CueKind.LIST:
            if not (self._only_looks_back(cue) or self._is_particle(cue)):
                yield from self._listed(cue)
        elif cue.kind is CueKind.NEXT:
            yield from self._claim(cue.stop, self._limit(cue))
        elif cue.kind is CueKind.BEFORE:
            if self._ends_segment(cue):
                yield from self._preceding(cue)
        elif cue.kind is CueKind.NOT:
            yield from self._denied_by_not(cue)
        else:
            limit = cue.stop if "," in self.gaps[cue.stop] else self._limit(cue)
            apart = self._pauses[cue.start] or self._ends[cue.start]
            follows = self._first_start(cue.stop) < limit
            yield from self._claim(cue.stop, limit)
            if not (apart and follows):
                yield from self._preceding(cue)

    def _denied_by_not(self, cue: Cue) -> Iterator[int]:
        """What follows and, with a predicate but no mention in its clause, what stands before."""
        limit = self._limit(cue)
        clause = min(self._next_pause[min(cue.stop + 1, len(self.gaps))], len(self.words))
        beside = self._first_start(cue.stop) < min(limit, clause)
        yield from self._claim(cue.stop, limit)
        if not beside and self._has_predicate(cue):
            yield from self._preceding(cue)

    def _claim(self, start: int, stop: int) -> Iterator[int]:
        """Yield the mentions that start within [start, stop) and that no later cue claims."""
        for unclaimed in self._unclaimed.values():
            yield from unclaimed.claim(start, stop)

    def _first_start(self, start: int) -> int:
        """Return where the first mention from `start` on starts; behind the last word if none."""
        place = bisect_left(self._starts, start)
        return self._starts[place] if place < len(self._starts) else len(self.words)

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
        after = self._labels_from[bisect_right(self._starts, mention.stop)]
        return bool(after - {mention.label})

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
        since = max(self._last_end[start], 0)
        return self._conditions_before[start] > self._conditions_before[since]

    def _is_idiom(self, mention: Mention) -> bool:
        """Whether the mention is the "no" of a phrase such as "no idea"."""
        i = mention.stop
        followed = self.words[i : i + 1] and self.gaps[i].isspace()
        return self._is_no(mention) and bool(followed) and self.words[i] in cues.NO_IDIOMS

    def _is_asked(self, mention: Mention) -> bool:
        """Whether the mention stands in a question that no "yes" answers."""
        i = self._next_end[mention.stop]
        if i == len(self.gaps):
            return False
        return "?" in self.gaps[i] and self.words[i : i + 1] != ("yes",)

    def _is_alternative(self, mention: Mention) -> bool:
        """Whether "or" ties the mention to anything but its own label: "benign or cystic"."""
        start, stop = mention.start, mention.stop
        sides = [start - 1] if start and self.gaps[start] == "/" else []
        sides += [stop] if stop < len(self.words) and self.gaps[stop] == "/" else []
        sides += [start - 2] if self.words[max(0, start - 1)] in cues.ALTERNATIVES else []
        sides += [stop + 1] if not cues.ALTERNATIVES.isdisjoint(self.words[stop : stop + 1]) else []
        for i, other in ((start - 1, start - 2), (stop, stop + 1)):
            is_between = other in self._label_at and not cues.BETWEEN.isdisjoint(
                self.words[i : i + 1]
            )
            sides += [other] if is_between else []
        return any(self._label_at.get(i) != mention.label for i in sides)

    def _means_no(self, start: int, kind: CueKind) -> bool:
        """Whether a cue is one: "0" may be an index unless it is a share or a label's value."""
        if self.words[start] != "0" or self.gaps[start + 1].startswith("%"):
            return True
        value = self.gaps[start].rstrip(" \"'").endswith((":", "="))
        return kind is CueKind.BEFORE and value and start - 1 in self._label_at

    def _exclusion_stop(self, start: int) -> int:
        """Return where the "exclude" of "cannot exclude" ends, or `start` if there is none."""
        for i in range(start, min(start + cues.EXCLUSION_WINDOW, len(self.words))):
            if self._ends[i] or i in self._label_at:
                break
            for stop in (i + 1, i + 2):
                if self.words[i:stop] in cues.EXCLUSIONS:
                    return stop
        return start

    def _cue_stop(self, start: int) -> int:
        best = start
        for stop in range(start + 1, min(start + cues.LONGEST_CUE, len(self.words)) + 1):
            if stop - 1 in self._label_at or (stop > start + 1 and self._parts(stop - 1)):
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
        return (
            CueKind.BEFORE in kinds
            and self._ends_segment(cue)
            and self._last_before(cue) is not None
        )

    def _is_particle(self, cue: Cue) -> bool:
        """Whether `cue` answers a question and a clause of its own follows: "No, it is A"."""
        next_word = self.words[cue.stop : cue.stop + 1]
        return "," in self.gaps[cue.stop] and not cues.SUBJECTS.isdisjoint(next_word)

    def _listed(self, cue: Cue) -> Iterator[int]:
        """Yield what follows, through commas, up to where an absence begins its own statement."""
        limit = self._forward_limit(cue.stop, through_commas=True)
        statement = self._next_statement[min(cue.stop + 1, len(self.gaps))]
        yield from self._unclaimed[False].claim(cue.stop, limit)
        yield from self._unclaimed[True].claim(cue.stop, min(limit, statement))

    def _limit(self, cue: Cue) -> int:
        """Return where the scope of `cue` ends: "not, in my view, A" goes through commas."""
        return self._forward_limit(cue.stop, through_commas="," in self.gaps[cue.stop])

    def _forward_limit(self, start: int, *, through_commas: bool) -> int:
        """Return where a scope that begins at `start` ends: the first of what closes it."""
        if start >= len(self.words):
            return len(self.words)
        first = start + 1 if self._trails_off(start) else start
        labelled = self._first_start(start) + 1  # a mention lies behind, from here on
        limits = [self._next_end[first], self._next_break[start]]
        if labelled <= len(self.words):
            limits.append(self._next_colon[labelled])  # "not A: B"
        if not through_commas:
            limits.append(self._next_closing_pause[start + 1])
            joined = self._next_closing_and[start + 1]
            if labelled <= len(self.words):  # brackets before it do not close: "not (obviously) A"
                limits.append(self._next_closing_bracket[labelled])
                joined = min(joined, self._next_closing_bracket_and[labelled])
            if self._next_between[start] >= joined:  # "between" holds both sides together
                limits.append(joined)
        return min(*limits, len(self.words))

    def _trails_off(self, i: int) -> bool:
        """Whether the text goes on behind the gap before word `i`: "not ... A"."""
        return self.gaps[i].isspace() or "..." in self.gaps[i]

    def _is_free(self, i: int) -> bool:
        return i not in self._label_at

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
        first, last = between[0], between[-1]
        begins = self._last_clause[last]
        return begins >= first and self._next_content[begins] < last

    def _is_no(self, mention: Mention) -> bool:
        return self.words[mention.start : mention.stop] == ("no",)

    def _may_agree(self, cue: Cue) -> bool:
        return self.words[cue.start] not in cues.VERDICTS

    def _agrees(self, mention: Mention) -> bool:
        """Whether a denial only bears out the answer "no": "No, it is not"."""
        return self._is_no(mention) and "," in self.gaps[mention.stop]

    def _preceding(self, cue: Cue) -> Iterator[int]:
        """Yield the mention before `cue`, with those that "and" or "or" tie to it.

        A sentence end in between is crossed only where the cue opens its sentence: "Pneumonia? No."
        """
        index = self._last_before(cue)
        agrees = self._may_agree(cue)
        while index is not None and (index, agrees) not in self._claimed_back:
            # What stands before a mention that was claimed this way was claimed with it.
            self._claimed_back.add((index, agrees))
            yield index
            index = self._tied_to(index, agrees=agrees)

    def _last_before(self, cue: Cue) -> int | None:
        """Return the last mention before `cue` that it is about, or None."""
        index = self._skip_agreeing(bisect_right(self._stops, cue.start) - 1, self._may_agree(cue))
        if index < 0:
            return None
        between = range(self.mentions[index].stop, cue.start + 1)
        ends = self._count_ends(between)
        if ends and not (ends == 1 and self._ends[cue.start]):
            return None
        return None if self._has_subject(between) else index

    def _tied_to(self, index: int, *, agrees: bool) -> int | None:
        """Return the mention that "and" or "or" ties to another one behind it, or None."""
        right = self.mentions[index].start
        index = self._skip_agreeing(index - 1, agrees)
        if index < 0:
            return None
        stop = self.mentions[index].stop
        tied = self._ties_before[right] > self._ties_before[stop]
        return index if tied and not self._count_ends(range(stop, right + 1)) else None

    def _skip_agreeing(self, index: int, agrees: bool) -> int:
        return self._last_disagreeing[index] if agrees and index >= 0 else index

    def _count_ends(self, between: range) -> int:
        return self._ends_before[between[-1] + 1] - self._ends_before[between[0]]
