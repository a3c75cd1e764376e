"""The words by which an answer denies a label or leaves it open, for `medreward.language.scope`."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from medreward.text.words import fold, split


class CueKind(Enum):
    """What a cue does to the labels around it."""

    PSEUDO = "looks like a negation and is none"
    LIST = "denies what follows, across commas: no A, B or C"
    NEXT = "denies what follows up to a comma or 'and': not A, B"
    BEFORE = "denies what stands before: A is absent"
    AROUND = (
        "denies what follows; where no label does, what stands before: ruled out A, A ruled out"
    )
    NOT = "as NEXT; or, with a predicate, denies what stands before: A is not seen"
    OPEN = "leaves open what AROUND would deny: unlikely A, A unlikely"


CUES: dict[CueKind, str] = {
    CueKind.PSEUDO: "no doubt|without doubt|without a doubt|without any doubt|no question|not only|"
    "not just|not merely|none other than|nothing but|no other than|beyond doubt|not uncommon|"
    "little doubt|nothing other than|not resolved|not yet resolved",
    CueKind.LIST: "no|without|without any|no evidence of|no signs of|no sign of|denies|deny|denied|"
    "negative for|free of|free from|absence of|lack of|lacks|lacking|devoid of|neither|nor|"
    "fails to show|fail to show|failed to show|evidence against|argues against|speaks against|"
    "excludes|exclude|excluding|0|clear of|neg for|unremarkable for|zero|nil|nope|refutes|rejects|"
    "fails to demonstrate|fail to demonstrate|failed to demonstrate|no question of|"
    "insufficient evidence of|insufficient evidence for|none|no one|nobody|query|"
    # The same in other languages, where the word is none in English medical text.
    "kein|keine|keinen|nicht|ohne|niet|geen|ingen|inte|pas de|sans|sin|senza|nessun|nessuna|"
    "не|нет|без|没有|沒有|不是|无|無|ない|nein|não|ikke|bez|brak|nincs|yok|없음|नहीं|لا",
    CueKind.NEXT: "rather than|instead of|as opposed to|other than|except|except for|"
    "inconsistent with|incompatible with|never|nothing|no longer|apart from|anything but|"
    "everything but|far from|opposite of|all but|less than|near|nearly|almost|minus|contra|"
    "disagree with|whether|unclear if|unsure if|uncertain if|unable to|fails to|fail to|failed to|"
    "refuse to|little to|little reason to|reject|contradicts|atypical for|else than|mistaken for|"
    "mistaken as|misread as|confused with|a mistake to|if|if it were|wrong to|incorrect to|"
    "false that|wrong that|incorrect that|untrue that|resolved|risk of|history of|"
    "screen for|screening for|evaluate for|finding but|label but|diagnosis but|answer but",
    CueKind.BEFORE: "false|incorrect|wrong|none|free|0|negative|not|no|rejected|dismissed|"
    "discarded|neg|nil|nope|isn't|wasn't|aren't|isnt|ain't|aint|low|very low|zero|"
    "off the table|n a|null|"
    "missing|denied|unknown|uncertain|unclear|unproven|maybe|none detected|none seen|none found|"
    "wrong answer|wrong label|wrong diagnosis|a mistake|disagree|unconfirmed|untrue|resolved",
    CueKind.AROUND: "ruled out|rule out|rules out|ruling out|excluded|absent|refuted|disproved|"
    "disproven|ruled it out|hardly|barely|scarcely|out of the question|ausgeschlossen|yok",
    CueKind.NOT: "not|cannot|isn't|aren't|wasn't|weren't|doesn't|don't|didn't|can't|couldn't|won't|"
    "wouldn't|hasn't|haven't|shouldn't|cant|isnt|doesnt|dont|ain't|aint|n't|isn|aren|wasn|doesn|"
    "didn|couldn|hasn|wasnt|didnt|couldnt|arent",
    CueKind.OPEN: "unlikely|doubtful|improbable|questionable|less likely|least likely|to exclude|"
    "to rule out|i doubt|doubt it|doubt that|doubt this|little evidence of|little evidence for|"
    "r o|rarely|seldom|mimic|mimics|mimicking|simulates|simulating|low probability of|"
    "low likelihood of|low suspicion for|low suspicion of|low risk of|small chance of",
}
PREDICATES = frozenset(
    "present seen shown found visible evident observed detected identified noted demonstrated "
    "apparent likely suspected diagnosed confirmed supported established proven true correct right "
    "appropriate the it case here there answer diagnosis finding what appear appears visualised "
    "visualized appreciated suggested consistent compatible indicated developed occur occurred "
    "exist exists possible probable plausible favored favoured think so".split()
)
# Beside predicates and adverbs in -ly, what may stand between "A," and the cue that denies it:
# "A, which is excluded", but not "A, margins unclear", which is about the margins.
LINKS = PREDICATES | frozenset(
    "which that this is was were are be been being has have had can could may might will would "
    "should must i we think believe say to very quite rather most more in all by of a an any and "
    "or but though however still also now probability likelihood chance chances suspicion "
    "confidence label class option".split()
)
BREAKS = frozenset(
    "but however although though yet whereas while nevertheless nonetheless because since "
    "therefore thus hence so".split()
)
# After "no" as an answer of its own, these make it another phrase: "no idea" is not "no".
NO_IDIOMS = frozenset(
    "idea clue doubt question answer way information info comment comments opinion conclusion one "
    "data image diagnosis decision telling response knowledge certainty judgement judgment".split()
)
ASSURANCES = frozenset(("doubt", "question"))
VERDICTS = frozenset("false incorrect wrong rejected dismissed discarded".split())
# What a "not" before them leaves open: "cannot be excluded", "not ruled out".
EXCLUSIONS = frozenset(
    (("exclude",), ("excluded",), ("excluding",), ("rule", "out"), ("ruled", "out"))
)
EXCLUSION_WINDOW = 3
# After "no," these begin a clause of its own: "No, it is pneumonia".
SUBJECTS = frozenset("it it's this that that's these there there's the i i'd i'm we".split())
# "or", also in other languages.
ALTERNATIVES = frozenset(split("or vs versus oder eller или 或 或者 または या").words)
# Those that are "or" only between two labels: "ou" behind one is "both eyes" in ophthalmology.
BETWEEN = frozenset("ou o lub albo vagy sau".split())
CONDITIONS = frozenset("if unless assuming provided providing supposing".split())
CONSEQUENCES = frozenset(("then", "else", "otherwise"))
# What stands before a word that is crossed out or queried: "!A", "~~A~~", "<del>A", "?A", "!= A",
# and the commands that cross out or deny in LaTeX: "\cancel{A}", "\neg A".
CROSSED_OUT = re.compile(r"(?:(?:^|\s)[!?~]|!=\s*|~~)$")
STRIKES = frozenset(("del", "s", "strike"))
COMMANDS = frozenset("cancel bcancel xcancel sout st neg lnot".split())
UNTICKED = re.compile(r"(?:\[ ?\]|\u2610)\s*$")
# "Effusion, otherwise normal", "the rest of the lungs is normal": said of what is left.
RESTS = frozenset("otherwise rest remainder".split())
REST_WINDOW = 5
EXCEPTIONS = frozenset((("apart", "from"), ("aside", "from"), ("other", "than"), ("but", "for")))
SENTENCE_ENDS = frozenset(".;!?")
DASH = re.compile(r"\s--?\s")
NEW_ITEM = re.compile(r"\n\s*(?:\n|[-*#\u2022])")
KEY_WINDOW = 3
PREDICATE_WINDOW = 5


class Cue(NamedTuple):
    """A cue phrase in a text: words ``start`` to ``stop`` (exclusive)."""

    kind: CueKind
    start: int
    stop: int


def _cue_table() -> dict[tuple[str, ...], list[CueKind]]:
    table: dict[tuple[str, ...], list[CueKind]] = {}
    for kind, phrases in CUES.items():
        for phrase in phrases.split("|"):
            table.setdefault(tuple(fold(phrase).split()), []).append(kind)
    return table


CUE_TABLE = _cue_table()
LONGEST_CUE = max(map(len, CUE_TABLE))
