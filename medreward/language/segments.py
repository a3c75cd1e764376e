"""What the groups of one segment say: see `medreward.language.grammar`."""

from __future__ import annotations

import re

from medreward.language.claims import Claim, NotUnderstoodError, Rules, Stance
from medreward.language.tables import without_tables
from medreward.language.tokens import DENIED_IN, LABEL
from medreward.language.word_groups import WordGroup

SIGNS = {
    "t": Stance.DENIED,
    "z": Stance.DENIED,
    "n": Stance.DENIED,
    "d": Stance.DENIED,
    "a": Stance.DENIED,
    "y": Stance.ASSERTED,
    "p": Stance.ASSERTED,
    "q": Stance.OPEN,
}
_TURNING_BACK, _CONTRASTING = frozenset("azt"), frozenset("tz")
_DENYING, _PLAIN = frozenset("dt"), frozenset("ny")
# Verdict, labels, verdict.
_GROUP = re.compile(r"(?P<before>[ntdyqpaz]?)(?P<labels>[LS]+)(?P<behind>[naypq]?)")
VERDICT = re.compile(r"[naypqdtz]")
# Verdicts before and behind one label that agree: "no A seen", "yes, A present".
_AGREE = {"np": "n", "dp": "d", "tp": "t", "yp": "y", **{code: code for code in "ntdyqpaz"}, "": ""}


class SegmentReader:
    """Reads the groups of one segment (see the rules above)."""

    def __init__(
        self,
        groups: list[WordGroup],
        rules: Rules,
        heading: Stance | None,
        says_no: bool,
        *,
        after_denial: bool = False,
    ) -> None:
        self.groups = [*without_tables(groups)]
        self.rules = rules
        self.heading = heading
        self.had_heading = False
        self.headings: dict[str, int] = {}  # verdicts before a colon, and where they stand
        self.says_no = says_no
        self.claims: list[Claim] = []
        self._run: list[int] = []  # labels that the next verdict may be about
        self._is_alternative = False
        self._denied: list[int] | None = None  # labels in a list that a denial or hedge began
        self._list_sign = Stance.DENIED  # what such a list says where "or" ends it
        self._contrasting: tuple[str, ...] = ()  # joiners behind which a denial does not reach
        self._is_heading = False  # whether the run is one label, of which nothing is said yet
        self._is_stated = False  # whether "there is" stands before the first label of the run
        self._is_joined = False  # whether "and" joins the labels of the run
        self._after_denial = after_denial  # whether the last segment ended with one
        self._was_denied = False  # whether a denial stands right before, behind its labels
        self.described: set[int] = set()  # labels beside which a modifier stands
        self.bare_at_end = 0  # how many labels at the end have no verdict
        self.bare: int | None = None  # where the first label stands that nothing is said of
        self._subject: int | None = None  # the label that a "no" behind it would name
        self.undenied: int | None = None  # where the subject stands, if nothing denies it

    def read(self) -> None:
        """Read all groups.

        Raises:
            NotUnderstoodError: if one is in none of the forms.
        """
        for i, group in enumerate(self.groups):
            following = self.groups[i + 1].joiner if i + 1 < len(self.groups) else ""
            if VERDICT.fullmatch(group.codes):
                self._read_verdict(group, following, is_first=i == 0)
                continue
            found = _GROUP.fullmatch(group.codes)
            if found is None:
                raise NotUnderstoodError(group.place)
            if group.joiner == "|" and not self._run:
                self._open_last()
            if group.has_modifier or group.has_part or group.has_finding:
                self.described |= {t.label for t in group.tokens if t.code in (LABEL, DENIED_IN)}
            self._read_group(group, found, following)
            if self._subject is not None and not group.has_label:
                self.undenied = None if following == ":" else group.place  # "DR: none"
        if self._subject is None:
            self.undenied = None
        self.bare_at_end = len(self._run)
        self._end_run()
        self._end_denial(Stance.UNDECIDED)

    def _open_last(self) -> None:
        """Leave open what was asserted before an "or": "A: present or B: present"."""
        if self.claims and self.claims[-1].stance is Stance.ASSERTED:
            self.claims[-1] = self.claims[-1]._replace(stance=Stance.OPEN)

    def _read_verdict(self, group: WordGroup, following: str, *, is_first: bool) -> None:
        sign = sign_of(group.codes, group)
        agrees = group.codes in _TURNING_BACK and group.joiner == ","
        if agrees and self._run == [self.rules.no_label]:
            return  # "No, there is not"
        self._check_verdict(group, sign, following)
        if following == ":":
            self._end_run()
            self._end_denial(Stance.UNDECIDED)
            self.heading, self.had_heading = sign, True
            self.headings.setdefault(group.codes, group.place)
        elif self._run and group.codes not in _DENYING:
            is_or = group.joiner == "|"  # "A or none"
            self._judge_run(Stance.OPEN if is_or else sign, is_mark=bool(group.tokens[0].text))
        elif self._subject is not None and sign is Stance.DENIED:
            self._check_whole(self._subject, group)
            self._state(self._subject, Stance.ASSERTED, group)
            self._subject = None
        elif is_first and group.codes in _PLAIN:
            self.says_no = group.codes == "n"
        elif is_first and group.codes == "q":
            self.heading, self.had_heading = sign, True
        else:
            raise NotUnderstoodError(group.place)

    def _check_verdict(self, group: WordGroup, sign: Stance, following: str) -> None:
        """Refuse a verdict that is on a part, on something else, or may be meant in two ways."""
        denies = sign in (Stance.DENIED, Stance.DOUBTED)
        # "no opacity", "A: none in the left lung"
        is_in_part = denies and (group.has_modifier or group.has_carrier or group.has_part)
        is_either = following == "|" and group.codes in _PLAIN  # "yes or no A"
        # "A: absent: B", "A (possible): B"; of JSON, "severity: none, diagnosis: A"
        is_behind = bool(self._run) and group.joiner in (":", ",")
        is_mixed = following == ":" and (is_behind or group.has_subject)
        is_unclear = is_either or is_mixed or self._may_be_on_last()
        if is_in_part or is_unclear or self._is_of_other(group, sign):
            raise NotUnderstoodError(group.place)

    def _may_be_on_last(self) -> bool:
        """Whether a verdict may be on the last label of a list alone: "A, B (absent)"."""
        is_list = len({*self._run}) > 1 and not (self._is_joined or self._is_alternative)
        return is_list and self._run[0] not in self.rules.absences

    def _is_of_other(self, group: WordGroup, sign: Stance) -> bool:
        """Whether a verdict is on something else than the labels before it, or affirms a no."""
        if group.has_subject and (self._run or self._subject is not None):
            return True  # "A, opacity absent"
        return sign is Stance.ASSERTED and self._run == [self.rules.no_label]  # "No, it is present"

    def _read_group(self, group: WordGroup, found: re.Match[str], following: str) -> None:
        labels = {t.label for t in group.tokens if t.code == LABEL}
        denied_in = {t.label for t in group.tokens if t.code == DENIED_IN}
        verdict = _AGREE.get(found["before"] + found["behind"])
        # "normal tumor", "benign cancer"; not "grade 0 DR", "benign lesion"
        words = {t.label for t in group.tokens if t.code == LABEL and not t.is_number_label}
        others = {t.label for t in group.tokens if t.code == DENIED_IN and not t.sense}
        both = words & ((denied_in & self.rules.normal) | (others & self.rules.absences))
        is_both = bool(both) and not verdict
        if verdict is None or len(labels) > 1 or is_both:
            raise NotUnderstoodError(group.place)
        if not labels:
            self._read_denied_in(group, verdict, denied_in)
            return
        (label,) = labels
        # "A study", not "normal study"
        if group.is_looked_for and label not in self.rules.absences:
            raise NotUnderstoodError(group.place)
        if not verdict:
            self._read_bare(group, label, following)
            return
        self._check_heading(group)
        sign = sign_of(verdict, group)
        if found["behind"] and not found["before"]:
            # "A, but B is absent"; "A, A absent"; "there is A, B absent"; "A - B absent"
            if self._starts_anew(group) or label in self._run or self._is_stated:
                self._end_run()
            self._is_joined |= group.joiner == "&"
            self._is_alternative |= group.joiner == "|" and bool(self._run)
            self._run.append(label)
            self._judge_run(sign)
            return
        if group.is_under and self._run == [label] and self._is_heading:
            self._run.clear()  # a heading, and the verdict under it
        self._end_run(joiner=group.joiner)
        self._end_denial(Stance.UNDECIDED)
        self._state(label, sign, group)
        begins_list = not found["behind"] and sign in (Stance.DENIED, Stance.OPEN)
        self._denied, self._list_sign = [] if begins_list else None, sign
        is_contrast = self.rules.one_answer and verdict in _CONTRASTING and following == ","
        ends_at_comma = is_contrast or sign is Stance.OPEN
        self._contrasting = ("b", ":", ",") if ends_at_comma else ("b", ":")

    def _read_denied_in(self, group: WordGroup, verdict: str, labels: set[int]) -> None:
        """Read "no DR", "DR: none" where this is a form of a label; "DR" alone says nothing."""
        if not verdict:
            self._subject = min(labels)
            return
        if len(labels) > 1 or sign_of(verdict, group) is not Stance.DENIED:
            raise NotUnderstoodError(group.place)
        (label,) = labels
        self._check_whole(label, group)
        self._end_run(joiner=group.joiner)
        self._end_denial(Stance.UNDECIDED)
        self._state(label, Stance.ASSERTED, group)

    def _check_whole(self, label: int, group: WordGroup) -> None:
        """Refuse a form such as "no DR" of which only a part is denied: "no left DR"."""
        if label in self.described:
            raise NotUnderstoodError(group.place)

    def _read_bare(self, group: WordGroup, label: int, following: str) -> None:
        """Read a label without a verdict of its own."""
        joiner, is_absence = group.joiner, label in self.rules.absences
        if group.is_added and (self._was_denied or (self._after_denial and not is_absence)):
            raise NotUnderstoodError(group.place)  # "A is absent as well as B", "No A. Also B."
        self._was_denied = self._after_denial = False
        if self.heading is not None:
            self._state(label, self.heading, group)
        elif self.says_no and not group.is_clause:
            self._state(label, Stance.ASSERTED if is_absence else Stance.UNDECIDED, group)
        elif self._is_denied_too(joiner, is_absence):
            self._denied = [*(self._denied or ()), label]
            if joiner == "|":
                self._end_denial(self._list_sign, goes_on=True)
        else:
            self._end_denial(Stance.UNDECIDED)
            if joiner == ":" and self._run == [label]:
                self._run.clear()  # a heading, and what stands under it
            elif self._run and self._starts_anew(group):
                self._end_run()
            self._is_heading = not (self._run or group.is_clause)
            self._is_stated = group.is_clause and not self._run
            self._is_alternative |= joiner == "|" and self._run != [label]
            self._is_joined |= joiner == "&"
            self.bare = group.place if self.bare is None else self.bare
            self._check_absence(label, group)
            self._run.append(label)

    def _starts_anew(self, group: WordGroup) -> bool:
        """Whether "but" or a dash stands before a group, so that no verdict in it reaches back."""
        return group.joiner == "b" or (group.joiner == ":" and not group.is_under)

    def _is_denied_too(self, joiner: str, is_absence: bool) -> bool:
        """Whether a label goes on a list that a denial began."""
        if self._denied is None or joiner in self._contrasting:
            return False
        return joiner == "|" or not is_absence

    def _check_heading(self, group: WordGroup) -> None:
        """Refuse a verdict under a heading, which has one already."""
        if self.heading is not None:
            raise NotUnderstoodError(group.place)

    def _judge_run(self, sign: Stance, *, is_mark: bool = False) -> None:
        """Give the labels before a verdict that verdict, an absence before another one aside."""
        has_own = len(self._run) == 2 and not (is_mark or self._is_alternative or self._is_joined)
        if self._is_alternative and sign is Stance.ASSERTED:
            sign = Stance.OPEN  # "A or B is present" does not say which
        for i, label in enumerate(self._run):
            is_own = has_own and i == 0 and label in self.rules.absences and label != self._run[1]
            self._claim(label, Stance.ASSERTED if is_own else sign)
        self._run.clear()
        self._is_alternative = self._is_joined = False
        self._was_denied = sign in (Stance.DENIED, Stance.DOUBTED)

    def _claim(self, label: int, stance: Stance) -> None:
        """Note what is said of a label; with a modifier beside it, it is denied in part alone."""
        in_part = stance is Stance.DENIED and label in self.described
        self.claims.append(Claim(label, Stance.DOUBTED if in_part else stance))

    def _end_run(self, joiner: str = "") -> None:
        """Assert the labels that no verdict followed, or leave them open where "or" joins them."""
        is_open = self._is_alternative or joiner == "|"
        sign = Stance.OPEN if is_open else Stance.ASSERTED
        self.claims += [Claim(label, sign) for label in self._run]
        self._run.clear()
        self._is_alternative = self._is_joined = False

    def _end_denial(self, sign: Stance, *, goes_on: bool = False) -> None:
        """End a list that a denial began: `sign` is the stance to its labels but the first."""
        if self._denied is not None:
            if self._list_sign is Stance.OPEN:  # "possible A and B"
                sign = Stance.OPEN
            for label in self._denied:
                self._claim(label, sign)
            self._denied = [] if goes_on else None

    def _state(self, label: int, stance: Stance, group: WordGroup) -> None:
        self._was_denied = self._after_denial = False
        if stance is Stance.ASSERTED:
            self._check_absence(label, group)
        self._claim(label, stance)

    def _check_absence(self, label: int, group: WordGroup) -> None:
        """Refuse "normal" of a part or thing: of "the left lung", "this region" or "a mass"."""
        is_carried = group.has_carrier and label not in self.rules.normal
        is_part = group.has_modifier or group.has_part or group.has_carrier or group.has_measure
        is_absence = label in self.rules.absences and not self.rules.counts
        if is_absence and is_part and not is_carried:
            raise NotUnderstoodError(group.place)


def sign_of(code: str, group: WordGroup) -> Stance:
    """Return the stance of a verdict; a share below one half denies in part, unless it is 0."""
    sign = SIGNS[code]
    is_share = any(token.code == "a" and token.share for token in group.tokens)
    return Stance.DOUBTED if sign is Stance.DENIED and is_share else sign
