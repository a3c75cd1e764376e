"""What stands out in a trace, and a first guess at the fix: one function a rule.

The thresholds are the constants below. A change over time counts where it is larger than its
threshold and than `CERTAIN` standard errors, taken from the spread of the steps' means.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from medreward.errors import quote
from medreward.runs.why_mends import TriedMends
from medreward.runs.why_stats import CAUSES, THIN, Stats, Step, pool_steps, shares
from medreward.task.task import Task
from medreward.text.formats.registry import format_of
from medreward.text.formats.table import DEFAULT_FORMAT
from medreward.text.reasons import FORMAT_REASONS

MIN_ROWS = 50  # completions below which nothing is concluded
MIN_SIDE = 5  # steps at either end below which no trend is looked for
EDGE = 0.25  # share of the steps at either end that is compared
CERTAIN = 3.0  # standard errors
UNREADABLE = 0.3  # share of completions
CUT_OFF = 0.1  # share of completions
FITS = 0.5  # share of the completions with a wrong format that have another one
NOT_UNDERSTOOD = 0.03  # share of completions
DEAD = 0.5  # share of groups
SAME_TEXT = 0.3  # share of groups
CORRELATED = 0.95  # |Pearson's r| within groups
REWARD_UP = 0.05  # mean reward
FLAT = 0.02  # share of right answers
FALLS = 0.05  # share of right answers
FORMAT_UP = 0.05  # mean of the part
LONGER = 1.5  # times
REPEATS = 0.1  # share of repeated word triples
INERT = 1e-4  # a mean of the part recitation that no weight in use makes felt
RECITES = 0.05  # mean of the part's absolute value
ONE_ANSWER = 0.7  # share of the answers that could be read
ABOVE_TARGETS = 0.2  # share of answers above that of the targets
ONE_TARGET = 0.9  # share of the targets
NEARLY_ALL = 0.9  # share of completions without a readable answer beside which others say nothing

_FORMAT_HINT = (
    "teach the format first: a short supervised warm start, or one worked example in the prompt"
)
_CUT_HINT = (
    "completions are cut off: raise max_completion_length (TRL; in veRL data.max_response_length), "
    "or ask for less reasoning in the prompt; the trainer's share of clipped completions says "
    "whether it is the limit (TRL's completions/clipped_ratio)"
)
_STOP_HINT = "; if the trainer stops at </answer>, let it keep that text"
HINTS = {
    "no_answer": _FORMAT_HINT,
    "no_answer_tag": _FORMAT_HINT,
    "answer_unclosed": f"{_CUT_HINT}{_STOP_HINT}",
    "think_put_back": "most completions begin with <think>, where the setting says that the chat "
    "template writes it: does the trainer put it back in front of them (ms-swift does)? Then the "
    "setting is wrong, not the policy: completion_format think_answer",
    "think_unopened": "the chat template seems to open <think> already: set completion_format: "
    "prefilled_think, leave the tag out of the prompt's example, or put it back in front of the "
    "completion before scoring",
    "several_answers": "the policy hedges or goes on after its answer: stop at </answer>",
    "label_unknown": "the answers use words that the card does not know: list the allowed labels "
    "in the prompt, and add true synonyms to the card",
    "answer_not_understood": "see what was not understood, in the table above the findings",
    "grade_unknown": "the answers name no grade: say in the prompt which grades there are",
    "several_labels": "the policy hedges: say in the prompt that one label is wanted",
    "several_grades": "the policy hedges: say in the prompt that one grade is wanted",
    "answer_too_long": "the reasoning stands in the answer: show the format in the prompt",
    "boxes_unreadable": "say in the prompt that boxes are [x1, y1, x2, y2], and in which frame",
}
_OF_THE_FORMAT = ("no_answer", "no_answer_tag", "answer_unclosed", "think_unopened")
_DEAD_HINTS = {
    "all right": "these prompts are solved: take harder ones, or leave solved ones out",
    "all unreadable": _FORMAT_HINT,
    "all wrong, one answer": "too hard, or the policy has settled on one answer: warm start, "
    "easier prompts first, more completions a prompt, a higher temperature",
    "all wrong, same reward": "the reward cannot tell these answers apart: give partial credit "
    "(decay: geometric or linear for grades, box_quality for boxes)",
    "mixed": "right and wrong answers earn the same: check the gates and the weights",
    "unknown": "write a trace with medreward, which says which answers are right",
}
# Why the part recitation is 0 in every completion, by the run's own delta.
_NO_RECITATION = {
    "+0": "delta is 0, so recitation is off; there is nothing to mend",
    "-1": "no knowledge stands in the prompts, or the reasoning has none of its words",
    "+1": "no knowledge stands in the prompts, or no answer can be read",
}


@dataclass(frozen=True)
class Diagnosis:
    """Something that stands out: the rule's name, the facts, and a first guess at the fix."""

    rule: str
    facts: str
    guess: str


@dataclass(frozen=True)
class Trend:
    """The mean of a measure over the first and the last steps.

    Attributes:
        early: the mean over the first steps, of the steps' means.
        late: the same over the last steps.
        error: the standard error of the difference.
    """

    early: float
    late: float
    error: float

    @property
    def change(self) -> float:
        """The difference, late less early."""
        return self.late - self.early

    @property
    def certain(self) -> bool:
        """Whether the difference is larger than `CERTAIN` standard errors."""
        return abs(self.change) > CERTAIN * self.error


class View:
    """A trace as the rules see it: all of it, its first and last steps, and what changed.

    Attributes:
        stats: the sums.
        all: those of all steps together.
        early: those of the first steps; None where there are too few for a trend.
        late: those of the last steps, or None.
        cards: tasks of the user's own by name.
    """

    def __init__(self, stats: Stats, cards: Mapping[str, Task] | None = None) -> None:
        self.stats = stats
        self.cards = cards or {}
        self._mends = TriedMends(self.cards)
        steps = [stats.steps[number] for number in sorted(stats.steps)]
        side = max(MIN_SIDE, int(EDGE * len(steps)))
        self.enough = len(steps) >= 2 * MIN_SIDE
        self._early, self._late = (steps[:side], steps[-side:]) if self.enough else ([], [])
        self.steps = steps
        self.all = pool_steps(steps)
        self.early = pool_steps(self._early) if self.enough else None
        self.late = pool_steps(self._late) if self.enough else None

    @property
    def now(self) -> Step:
        """The last steps, or all of them where there are few."""
        return self.late or self.all

    def mend(self, word: str) -> str:
        """Return what to do about a word that was not understood, by its first completion."""
        form = setting_of(self, "completion_format")
        return self._mends.mend(word, self.stats.unread[word], form)

    def trend(self, value: str | Callable[[Step], float]) -> Trend | None:
        """Return how a measure changed, None where there are too few steps that know it."""
        measure = (lambda step: step.mean(value)) if isinstance(value, str) else value
        sides = [[v for v in map(measure, side) if not math.isnan(v)] for side in self._sides()]
        if min(map(len, sides), default=0) < MIN_SIDE:
            return None
        (early, first), (late, last) = map(_mean_and_error, sides)
        return Trend(early, late, math.hypot(first, last))

    def _sides(self) -> tuple[list[Step], list[Step]]:
        return self._early, self._late


def findings(view: View) -> list[Diagnosis]:
    """Return what stands out, by the rules in their order."""
    if view.stats.rows < MIN_ROWS:
        return []
    return [finding for rule in RULES for finding in rule(view)]


def never_right(view: View) -> Iterator[Diagnosis]:
    """Not one answer is right."""
    if view.all.known["correct"] >= MIN_ROWS and view.all.sums["correct"] == 0:
        yield Diagnosis(
            "never_right",
            f"not one of {view.all.known['correct']} answers is right",
            "hardly an answer can be read: see `unreadable`"
            if view.all.mean("unreadable") >= NEARLY_ALL
            else "score a hand-made right answer first (medreward explain); then check that "
            "targets, labels and the task's card belong together",
        )


def cut_off(view: View) -> Iterator[Diagnosis]:
    """Many completions end before their answer does."""
    shape = view.now.shape
    count = shape.cut_off()
    if count < CUT_OFF * view.now.rows:
        return
    where = {"think": "in the reasoning", "answer": "in the answer", "text": "in a sentence"}
    ends = ", ".join(f"{where[end]} {n}" for end, n in shape.cut.most_common())
    yield Diagnosis(
        "cut_off",
        f"{count / view.now.rows:.0%} of the completions{_when(view)} end before their answer does "
        f"({ends}), after {shape.mean_length():.0f} characters on average",
        f"{_CUT_HINT}{_STOP_HINT if shape.cut['answer'] else ''}",
    )


def other_format(view: View) -> str:
    """Return the completion format that most completions of a wrong format have, "" for none."""
    shape = view.now.shape
    name, count = next(iter(shape.fits.most_common(1)), ("", 0))
    has = setting_of(view, "completion_format") or DEFAULT_FORMAT
    return name if count >= FITS * shape.malformed and name != has else ""


def _format_mend(view: View) -> str:
    """Return what to do about a wrong format: the limit, another format, or a warm start."""
    shape, other = view.now.shape, other_format(view)
    if 2 * shape.cut_off() >= shape.malformed > 0:
        return "completions are cut off: see `cut_off`"
    if other:
        share = shape.fits[other] / shape.malformed
        return (
            f"{share:.0%} of the completions with a wrong format are read in the format {other} "
            f"({format_of(other).about}): if that is what the model writes, set "
            f"completion_format: {other}, in the card's reward, in the reward function and in "
            f"prepare --completion-format; else {_FORMAT_HINT}"
        )
    return _FORMAT_HINT


def unreadable(view: View) -> Iterator[Diagnosis]:
    """Many completions have no readable answer."""
    share = view.now.mean("unreadable")
    if share >= UNREADABLE:
        reasons = [c for c, _ in view.now.reasons.most_common() if c in HINTS]
        reasons.sort(key=lambda code: code == "no_answer")  # the others say more
        why = f", most of them {reasons[0]}" if reasons else ""
        shape = view.now.shape
        is_format = not reasons or reasons[0] in _OF_THE_FORMAT
        known = is_format and (other_format(view) or 2 * shape.cut_off() >= shape.malformed > 0)
        guess = HINTS[reasons[0]] if reasons else "look at the examples below"
        yield Diagnosis(
            "unreadable",
            f"{share:.0%} of the completions{_when(view)} have no readable answer{why}",
            _format_mend(view) if known else guess,
        )


def not_understood(view: View) -> Iterator[Diagnosis]:
    """Answers are not read since one thing in them is not understood."""
    share = view.now.unread.total() / view.now.rows
    if share >= NOT_UNDERSTOOD:
        word, count = view.now.unread.most_common(1)[0]
        yield Diagnosis(
            "not_understood",
            f"{share:.0%} of the answers{_when(view)} are not read since something in them is not "
            f"understood, most often {quote(word)} ({count} of {view.now.unread.total()})",
            f"look whether these answers are honest (the table says where they stand); of "
            f"{quote(word)}: {view.mend(word)}",
        )


def zero_variance(view: View) -> Iterator[Diagnosis]:
    """Many groups earn the same and teach nothing."""
    share = view.now.zero_variance()
    if share >= DEAD:
        main, count = view.now.dead.most_common(1)[0]
        yield Diagnosis(
            "zero_variance",
            f"{share:.0%} of the groups{_when(view)} have zero variance, so that their advantages "
            f"are 0; of these {count / view.now.dead.total():.0%}: {CAUSES[main]}",
            HINTS["think_put_back"]
            if main == "all unreadable" and _is_mostly(view.now.reasons, "think_put_back")
            else _hint_of_dead(main, view),
        )


def thin_variance(view: View) -> Iterator[Diagnosis]:
    """Many groups would earn the same but for one small part."""
    now, share = view.now, view.now.thin_share()
    if not share or not share + now.zero_variance() >= DEAD:
        return
    part, count = now.thin.most_common(1)[0]
    main, _ = now.thin_causes.most_common(1)[0]
    yield Diagnosis(
        "thin_variance",
        f"in {share:.0%} of the groups{_when(view)} all completions would earn the same but for "
        f"one part; the spread of these groups is only {part}'s"
        f"{f' in {count / now.thin.total():.0%}' if count < now.thin.total() else ''}: "
        f"{now.thin_spread / now.thin.total():.1g} on average, below {THIN:g}; most often "
        f"{CAUSES[main]}",
        f"GRPO divides by the spread, so that this noise becomes the whole advantage; count these "
        f"groups as dead (weights.{part} 0 shows them as zero_variance), and mend that: "
        f"{_hint_of_dead(main, view)}",
    )


def setting_of(view: View, name: str) -> str | None:
    """Return what the run's signatures say of a setting, if they say it and agree."""
    values = {
        value
        for signature in view.stats.signatures.settings
        if signature
        for key, colon, value in (field.partition(":") for field in signature.split("|"))
        if colon and key == name
    }
    return values.pop() if len(values) == 1 else None


def _hint_of_dead(cause: str, view: View) -> str:
    decay = setting_of(view, "decay")
    if cause == "all unreadable":
        return "no answer can be read: see `unreadable`"
    if cause == "all wrong, same reward" and decay not in (None, "exact"):
        return (
            f"near grades earn partial credit already (decay: {decay}), so that these answers are "
            f"equally far off or beyond its reach: easier prompts first, or more completions a "
            f"prompt; `medreward sweep --grid decay=…` shows what others would change"
        )
    return _DEAD_HINTS[cause]


def same_text(view: View) -> Iterator[Diagnosis]:
    """Many groups consist of one and the same completion."""
    share = view.now.same_text / view.now.groups if view.now.groups else 0.0
    if share >= SAME_TEXT:
        yield Diagnosis(
            "same_text",
            f"in {share:.0%} of the groups{_when(view)} all completions are the same text",
            "there is no exploration: raise the temperature or the KL or entropy term",
        )


def constant_part(view: View) -> Iterator[Diagnosis]:
    """A part never varies, in the whole trace."""
    for name, value in view.stats.spread.constant().items():
        yield Diagnosis(
            "constant_part",
            f"{name} is {value:g} for every completion",
            _constant(name, value, view),
        )


def _constant(name: str, value: float, view: View) -> str:
    if name == "recitation" and value == 0:
        return _NO_RECITATION.get(
            setting_of(view, "delta") or "",
            "recitation is off or never applies: delta 0, no knowledge or, with delta +1, "
            "unreadable answers",
        )
    if name == "format":
        learnt = "the format is learnt; its weight changes nothing any more"
        return learnt if value else _never_well_formed(view)
    if name == "accuracy" and value == 0:
        return "no answer earns anything: see `never_right` and `unreadable`"
    return (
        f"{name} has no influence on the advantages; if it is to have some, take rows on which it "
        f"differs, else leave its weight at 0"
    )


def _never_well_formed(view: View) -> str:
    if view.now.mean("unreadable") >= UNREADABLE:
        return "the format is never right, so this part cannot teach it: see `unreadable`"
    for code in ("think_put_back", "think_unopened"):
        if _is_mostly(view.all.reasons, code):
            return f"the format is never right, most often by {code}: {HINTS[code]}"
    return f"the format is never right, so this part cannot teach it: {_format_mend(view)}"


def _is_mostly(reasons: Counter[str], code: str) -> bool:
    """Whether a code is the most frequent one of those that say why a format is wrong."""
    return reasons[code] > 0 and reasons[code] == max(reasons[one] for one in FORMAT_REASONS)


def idle_part(view: View) -> Iterator[Diagnosis]:
    """Two parts move together within groups."""
    for (one, other), r in sorted(view.stats.spread.correlations().items()):
        if abs(r) >= CORRELATED:
            how = "together" if r > 0 else "against each other"
            yield Diagnosis(
                "idle_part",
                f"{one} and {other} move {how} within groups (r = {r:+.2f})",
                "one of the two adds no information: leave one out, or see what both depend on",
            )


def reward_without_accuracy(view: View) -> Iterator[Diagnosis]:
    """The reward rises, but not the share of right answers."""
    reward, correct = view.trend("reward"), view.trend("correct")
    if not (reward and correct and reward.certain) or reward.change < REWARD_UP:
        return
    if correct.change > FLAT and (correct.certain or correct.change > reward.change / 2):
        return
    parts = [n for n in view.all.known if n.startswith("part ")]
    rises = {n: t.change for n in parts if (t := view.trend(n)) and t.certain and t.change > 0}
    names = ", ".join(f"{n[5:]} {v:+.2f}" for n, v in sorted(rises.items())) or "no single part"
    yield Diagnosis(
        "reward_without_accuracy",
        f"the reward went from {reward.early:.2f} to {reward.late:.2f}, right answers from "
        f"{correct.early:.0%} to {correct.late:.0%}"
        f"{'' if correct.certain else ' (within the noise)'}; what rose: {names}",
        "the policy earns more without answering better: lower the weight of what rose; while the "
        "format is being learnt, this is no fault",
    )


def accuracy_falls(view: View) -> Iterator[Diagnosis]:
    """The share of right answers falls; worse where format rises at the same time."""
    correct, form = view.trend("correct"), view.trend("part format")
    if not (correct and correct.certain and correct.change < -FALLS):
        return
    facts = f"right answers went from {correct.early:.0%} to {correct.late:.0%}"
    if form and form.certain and form.change > FORMAT_UP:
        yield Diagnosis(
            "format_over_accuracy",
            f"{facts} while format rose from {form.early:.2f} to {form.late:.2f}",
            "the policy trades answers for format: lower weights.format or teach the format first",
        )
    else:
        yield Diagnosis(
            "accuracy_falls",
            facts,
            "lower the learning rate or raise the KL term; compare held-out accuracy",
        )


def longer(view: View) -> Iterator[Diagnosis]:
    """Completions grow."""
    length = view.trend("length")
    if length and length.certain and length.late > LONGER * length.early:
        yield Diagnosis(
            "longer",
            f"completions grew from {length.early:.0f} to {length.late:.0f} characters",
            "if right answers did not rise with it, bound the length (an overlong punishment in "
            "the trainer) and look for filler in the late examples",
        )


def repetition(view: View) -> Iterator[Diagnosis]:
    """Completions repeat themselves more."""
    trend = view.trend("repetition")
    if trend and trend.certain and trend.change > REPEATS:
        yield Diagnosis(
            "repetition",
            f"repeated word triples went from {trend.early:.0%} to {trend.late:.0%}",
            "the policy loops: lower the learning rate or raise the KL term, and stop at </answer>",
        )


def recitation(view: View) -> Iterator[Diagnosis]:
    """The reasoning copies more of the knowledge."""
    trend = view.trend(lambda step: abs(step.mean("part recitation")))
    if trend is None or not trend.certain or trend.change < RECITES:
        return
    paid = view.now.mean("part recitation") > 0
    gated = "recitation_needs_accuracy" in (setting_of(view, "gates") or "")
    gate = "" if gated else "gate it with recitation_needs_accuracy, "
    yield Diagnosis(
        "recitation",
        f"recitation went from {trend.early:.2f} to {trend.late:.2f} and is "
        f"{'rewarded' if paid else 'penalised'}",
        f"delta +1 pays for copying the prompt: lower weights.recitation, {gate}or take delta -1"
        if paid
        else "copying grows against its penalty: something else pays for it, see what rose",
    )


def recitation_inert(view: View) -> Iterator[Diagnosis]:
    """Recitation is there, and too small to change anything."""
    size = abs(view.all.mean("part recitation"))
    if 0.0 < size < INERT:
        yield Diagnosis(
            "recitation_inert",
            f"recitation is {size:.0e} on average, {_effect_of_inert(view)}",
            "where the reasoning is much shorter than the knowledge, BLEU's brevity penalty takes "
            "it away: recitation_measure precision or containment has none, and prepare "
            "--knowledge context injects less; `medreward rows check` says what length it takes",
        )


def _effect_of_inert(view: View) -> str:
    alone = view.all.thin["recitation"]
    if not alone:
        return "so that delta changes nothing"
    return (
        f"too small to teach anything, yet all that differs in {alone / view.all.groups:.0%} of "
        f"the groups, where it becomes the whole advantage (see `thin_variance`)"
    )


def one_answer(view: View) -> Iterator[Diagnosis]:
    """One answer takes over (mode collapse)."""
    answered, targets = view.now.answers, view.now.targets
    if answered.total() < MIN_ROWS:
        return
    answer, count = answered.most_common(1)[0]
    share = count / answered.total()
    most = max(shares(targets, targets.total()).values(), default=1.0)
    if share >= ONE_ANSWER and share >= most + ABOVE_TARGETS:
        yield Diagnosis(
            "one_answer",
            f"{share:.0%} of the answers{_when(view)} are {answer!r}, while the most frequent "
            f"target makes up {most:.0%}",
            f"the policy has collapsed onto one answer: balance the classes (repeat or leave out "
            f"rows of the data set), lower the learning rate or raise the KL term"
            f"{_less_credit(setting_of(view, 'decay'))}",
        )


def _less_credit(decay: str | None) -> str:
    """Return the advice on partial credit, where the kind has some and the run has not followed it.

    Only the signatures of kinds with a decay name one.
    """
    if decay is None or decay in ("geometric", "reported", "exact"):
        return ""
    return (
        f", and take partial credit that does not favour the middle (decay: geometric or reported; "
        f"it is {decay})"
    )


def one_target(view: View) -> Iterator[Diagnosis]:
    """Nearly all targets are one and the same."""
    targets = shares(view.all.targets, view.all.rows)
    target, share = next(iter(targets.items()))
    if target != str(None) and share >= ONE_TARGET:
        yield Diagnosis(
            "one_target",
            f"{share:.0%} of the targets are {target}",
            "the policy can earn everything by one answer: check how the rows were drawn, and "
            "balance the classes",
        )


def mixed_settings(view: View) -> Iterator[Diagnosis]:
    """Tasks apart, there are several sets of settings in one trace."""
    if len(view.stats.signatures.settings) > max(1, len(view.stats.tasks)):
        yield Diagnosis(
            "mixed_settings",
            f"the trace holds scores of {len(view.stats.signatures.settings)} different settings: "
            f"{_differences(view.stats.first_steps)}",
            "several runs wrote to one file, or settings changed on the way: totals before and "
            "after do not compare",
        )


def _differences(first_steps: Mapping[str, int | None], most: int = 4) -> str:
    """Return what signatures differ in, and from which step each is there."""
    fields = {signature: signature.split("|") for signature in first_steps}
    common = set.intersection(*(set(own) for own in fields.values()))
    shown = [
        f"{', '.join(field for field in own if field not in common) or '(no more)'}"
        f"{'' if first_steps[signature] is None else f' from step {first_steps[signature]}'}"
        for signature, own in fields.items()
    ]
    more = f"; and {len(shown) - most} more" if len(shown) > most else ""
    return "; ".join(shown[:most]) + more


RULES: tuple[Callable[[View], Iterator[Diagnosis]], ...] = (
    cut_off,
    mixed_settings,
    one_target,
    never_right,
    unreadable,
    not_understood,
    zero_variance,
    thin_variance,
    same_text,
    one_answer,
    reward_without_accuracy,
    accuracy_falls,
    longer,
    repetition,
    recitation,
    recitation_inert,
    constant_part,
    idle_part,
)


def _when(view: View) -> str:
    return " in the last steps" if view.late else ""


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
