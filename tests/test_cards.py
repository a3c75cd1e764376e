"""Task cards: what is shipped, and that every mistake in one is named."""

from __future__ import annotations

import csv
import re
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from rapidfuzz import fuzz

from medreward import ConfigError, Label, RewardSettings, Statement, Task, explain
from medreward.commands.cli import main
from medreward.kinds.base import kind_of
from medreward.priors.lint import lint_card
from medreward.priors.prompt import build_prompt
from medreward.priors.show import card_text
from medreward.scoring.scorer import Scorer
from medreward.task.card import copied_card, shipped
from medreward.task.links import link_of
from medreward.task.task import parse_card
from medreward.version import __version__
from tests.reading_tables import make

HEAD = "name: demo\nkind: classification\nquestion: Which?\n"
LABELS = "labels: [benign, malignant]\n"


# Labels without attributes, and why: an honest gap instead of an invented sentence.
GAPS = {
    "mni152_level": (["0", "1", "2", "3", "4"], "the bands divide the template, not anatomy"),
    **dict.fromkeys(
        ("organamnist", "organcmnist"),
        (
            ["kidney-left", "kidney-right", "lung-left", "lung-right"],
            "a crop around one organ shows no neighbour, and a lung has no detail in its window",
        ),
    ),
    "organsmnist": (
        [
            *("femur-left", "femur-right", "kidney-left", "kidney-right"),
            *("lung-left", "lung-right"),
        ],
        "a sagittal crop does not tell the side",
    ),
    "chestmnist": (["pleural"], "no source found that holds for a label mined from reports"),
    "chestxray14": (["Pleural_Thickening"], "as in chestmnist"),
    "isup": (["0", "1", "2", "3", "4", "5"], "the grade is a sum of patterns: said once, for all"),
    "pcam": (["no tumour", "tumour"], "no source read for what a metastasis looks like here"),
    "tissuemnist": (
        [
            *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule"),
            *("Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes"),
            *("Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb"),
        ],
        "no source found for what a stain of DNA shows of each cell type",
    ),
}
MAX_WORDS = 45
MAX_LIKENESS = 75
ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver"),
    *("lung-left", "lung-right", "pancreas", "spleen"),
)
MEDMNIST = {
    "pathmnist": (
        *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle"),
        *("normal colon mucosa", "cancer-associated stroma"),
        "colorectal adenocarcinoma epithelium",
    ),
    "chestmnist": (
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule"),
        *("pneumonia", "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis"),
        *("pleural", "hernia"),
    ),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma",
        *("basal cell carcinoma", "benign keratosis-like lesions", "dermatofibroma", "melanoma"),
        *("melanocytic nevi", "vascular lesions"),
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        *("basophil", "eosinophil", "erythroblast"),
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        *("lymphocyte", "monocyte", "neutrophil", "platelet"),
    ),
    "tissuemnist": (
        *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule"),
        *("Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes"),
        *("Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb"),
    ),
    "organamnist": ORGANS,
    "organcmnist": ORGANS,
    "organsmnist": ORGANS,
}


# The cards of grounding and of closed questions are about whatever is asked, so they know nothing.
# Cards whose rows bring their own questions along know nothing of the images.
ASKING = (
    *("grounding_", "yes_no", "multiple_choice", "short_answer"),
    *("vqa_rad", "slake", "path_vqa", "pmc_vqa", "omnimedvqa"),
    # Cards for whose labels no source was read: labels and question, and no knowledge.
    *("chexpert", "kvasir", "brain_mri", "vindr_cxr", "rsna_pneumonia"),
)
KNOWING = [name for name in shipped() if not name.startswith(ASKING)]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_card_loads_and_can_be_scored(name: str) -> None:
    task = Task.load(name)
    assert task.name == name
    assert task.question.endswith("?") or "." in task.question
    assert task.modality
    assert task.data["licence"]
    assert Task.load(name) is task
    Scorer(task)


@pytest.mark.parametrize("name", KNOWING)
def test_every_statement_has_a_source_and_no_invented_review(name: str) -> None:
    task = Task.load(name)
    statements = [*task.knowledge, *(s for label in task.labels for s in label.attributes)]
    assert statements
    for statement in statements:
        assert statement.source in task.references
        assert statement.text == " ".join(statement.text.split())


@pytest.mark.parametrize("name", KNOWING)
def test_every_reference_is_used_and_can_be_found(name: str) -> None:
    task = Task.load(name)
    statements = [*task.knowledge, *(s for label in task.labels for s in label.attributes)]
    cited = {s.source for s in statements} | set(task.data["citation"].split(", "))
    assert set(task.references) == cited
    assert all(len(citation) > 40 for citation in task.references.values())


NO_ADDRESS = {  # no page found that a publisher, a society or an author stands for
    *("birads2013", "cap_glossary", "chawla_ct", "common_vein", "eroschenko", "lichtman2016"),
    *("rouse2010", "ryan", "soyer2001"),
}
NOT_OPENED = {"dicom_cid6104", "woodring1996"}


def test_every_reference_has_an_address_but_for_the_known_gaps() -> None:
    bare, unopened = set(), set()
    for task in map(Task.load, shipped()):
        bare |= {k for k, x in task.references.items() if not link_of(x, task.urls.get(k, ""))}
        unopened |= set(task.unopened)
    assert (bare, unopened) == (NO_ADDRESS, NOT_OPENED)
    page = (Path(__file__).parent.parent / "docs" / "evidence" / "knowledge-sources.md").read_text(
        "utf-8"
    )
    told = set(re.findall(r"`(\w+)`", page.split("## Addresses")[1].split("## Gaps")[0]))
    assert told >= bare | unopened


def test_lint_finds_in_the_shipped_cards_what_is_known_and_nothing_else() -> None:
    found = {(x.code, x.file, x.field) for name in shipped() for x in lint_card(name)}
    others = {x for x in found if x[0] not in ("no-address", "not-opened")}
    assert others == {  # there is little to say of glass, or of a bag of fluid
        ("unbalanced", "organamnist.yaml", "labels[0].attributes"),
        ("unbalanced", "pathmnist.yaml", "labels[1].attributes"),
    }


def test_an_address_that_nobody_opened_is_said(tmp_path: Path) -> None:
    text = card_text(Task.load("chestmnist"))
    assert text.count("(not opened)") == 2
    card = {**MINIMAL, "references": {"ref": {"citation": "A citation.", "opened": False}}}
    assert parse_card(yaml.safe_dump(card)).unopened == ("ref",)
    assert parse_card(yaml.safe_dump(card)).digest == parse_card(yaml.safe_dump(MINIMAL)).digest
    with pytest.raises(ConfigError, match="unopened: 'other' is not one of ref"):
        Task("x", labels=["a", "b"], references={"ref": "A"}, unopened=("other",))


SHOWN = {
    "chestmnist": {"pleural": "pleural thickening"},
    "chestxray14": {"Pleural_Thickening": "pleural thickening"},
    "brain_mri": {"notumor": "no tumour"},
    "vindr_cxr": {"Enlarged PA": "enlarged pulmonary artery", "ILD": "interstitial lung disease"},
}


def test_labels_whose_own_name_says_little_are_shown_by_another() -> None:
    tasks = {name: Task.load(name) for name in shipped()}
    shown = {
        name: {label.name: label.display for label in task.labels if label.display}
        for name, task in tasks.items()
    }
    assert {name: found for name, found in shown.items() if found} == SHOWN
    for name, labels in SHOWN.items():
        task, listed = tasks[name], build_prompt(tasks[name], level="none").text
        for own, other in labels.items():
            assert other in listed
            assert not re.search(rf"\b{own}\b(?! thick)", listed), own
            assert f"{own} (shown as {other};" in " ".join(card_text(task).split())
            # The data's name still loads, and either one is an answer.
            assert task.target_index(own) == task.target_index(other)
            if name == "vindr_cxr":
                continue
            target = own if name == "brain_mri" else [own]
            for answer in (own, other):
                said = f"<think>x</think><answer>{answer}</answer>"
                score = explain(said, target, task=task)
                assert (score.correct, score.prediction) == (True, own)


def test_prompts_ask_for_the_shown_name_and_rows_keep_the_data_s() -> None:
    label = Label("ptx", ("pneumothorax", "collapsed lung"), display="pneumothorax")
    for kind, target in (("classification", "ptx"), ("multilabel", ["ptx", "rib"])):
        task = Task("chest", kind, labels=[label, "rib", "mass"], question="Which?")
        rules = kind_of(task)
        parsed = rules.parse(task, target)
        assert "pneumothorax" in rules.right(task, parsed, task.reward)
        assert "ptx" not in rules.right(task, parsed, task.reward)
        assert "ptx" in rules.to_text(task, parsed)
    with pytest.raises(ConfigError, match=r"labels\[0\].display: 'air' is none of its names"):
        Task("chest", labels=[Label("ptx", display="air"), "rib"])


@pytest.mark.parametrize("name", KNOWING)
def test_every_label_has_attributes_but_for_the_known_gaps(name: str) -> None:
    labels, _ = GAPS.get(name, ([], ""))
    assert [label.name for label in Task.load(name).labels if not label.attributes] == labels


@pytest.mark.parametrize("name", shipped())
def test_a_statement_is_one_short_sentence(name: str) -> None:
    task = Task.load(name)
    for statement in [*task.knowledge, *(s for label in task.labels for s in label.attributes)]:
        assert re.fullmatch(r"[A-Z][^.!?]*(\.\d[^.!?]*)*\.", statement.text), statement.text
        assert len(statement.text.split()) <= MAX_WORDS, statement.text


def _stems(text: str) -> set[str]:
    return {word[:4] for word in re.findall(r"\w+", text.lower())}


@pytest.mark.parametrize("name", shipped())
def test_an_attribute_names_its_label(name: str) -> None:
    """So that it can be read where labels are in another order, or statements are left out."""
    for label in Task.load(name).labels:
        forms = [f"grade {label.name}", label.name.split("(")[0], *label.synonyms]
        for statement in label.attributes:
            assert any(_stems(form) <= _stems(statement.text) for form in forms), statement.text


@pytest.mark.parametrize("name", shipped())
def test_no_two_labels_share_a_statement_or_nearly(name: str) -> None:
    labels = Task.load(name).labels
    for one, other in combinations(labels, 2):
        for a, b in product(one.attributes, other.attributes):
            assert fuzz.token_sort_ratio(a.text, b.text) < MAX_LIKENESS, (a.text, b.text)


def test_the_page_on_sources_names_every_card_and_source() -> None:
    text = (Path(__file__).parent.parent / "docs" / "evidence" / "knowledge-sources.md").read_text(
        "utf-8"
    )
    rows = set(re.findall(r"^\| `(\w+)` \|[^|]*\| `(\w+)` \|", text, re.MULTILINE))
    for name in KNOWING:
        task = Task.load(name)
        statements = [*task.knowledge, *(s for label in task.labels for s in label.attributes)]
        assert {source for card, source in rows if card == name} == {s.source for s in statements}
    assert {card for card, _ in rows} == set(KNOWING)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("pneumoniamnist", {"0": "normal", "1": "pneumonia"}),
        ("retinamnist", {"0": "0", "1": "1", "2": "2", "3": "3", "4": "4"}),
        *((name, {str(i): x for i, x in enumerate(labels)}) for name, labels in MEDMNIST.items()),
    ],
)
def test_labels_are_those_of_medmnist(name: str, labels: dict[str, str]) -> None:
    """`medmnist.INFO[name]["label"]` of medmnist 3.0.2."""
    task = Task.load(name)
    assert {str(i): label.name for i, label in enumerate(task.labels)} == labels
    for index, label in labels.items():
        assert task.target_index(int(index)) == task.target_index(label) == int(index)


def test_new_cards_know_the_labels_of_real_data(test_data: Path) -> None:
    busi, icdr = Task.load("busi"), Task.load("icdr")
    for row in _table(test_data / "busi" / "labels.csv"):
        assert busi.labels[busi.target_index(row["label"])].name == row["label"]
    for row in _table(test_data / "dr-fundus" / "labels.csv"):
        name = re.sub(" with(out)? maculopathy$", "", row["label"])
        assert icdr.target_index(row["grade"]) == icdr.target_index(name) == int(row["grade"])


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_knowledge_levels() -> None:
    task = Task.load("retinamnist")
    none, context, full = map(task.knowledge_text, ("none", "context", "full"))
    assert none == ""
    assert full.startswith(context)
    assert "microaneurysms only" in full
    assert "microaneurysms" not in context
    with pytest.raises(ConfigError, match="knowledge level: 'all' is not one of none, context"):
        task.knowledge_text("all")


MINIMAL = yaml.safe_load(
    """
name: effusion
kind: ordinal
question: How large?
modality: radiograph
data: {set: demo}
labels:
  - none
  - name: small
    synonyms: [minimal]
    absence: false
    attributes: [{text: "Blunted   angle.", source: ref}]
knowledge: [{text: Compare both sides., source: ref}]
references: {ref: A citation.}
reward: {decay: linear, weights: {format: 0.5}}
first_grade: 1
max_typos: 0
"""
)


def test_a_card_is_the_task_it_describes() -> None:
    assert parse_card(yaml.safe_dump(MINIMAL)) == Task(
        "effusion",
        kind="ordinal",
        question="How large?",
        modality="radiograph",
        data={"set": "demo"},
        labels=(
            Label("none"),
            Label("small", ("minimal",), False, (Statement("Blunted angle.", "ref"),)),
        ),
        knowledge=(Statement("Compare both sides.", "ref"),),
        references={"ref": "A citation."},
        reward=RewardSettings().updated({"decay": "linear", "weights": {"format": 0.5}}),
        first_grade=1,
        max_typos=0,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name: None is not a non-empty text"),
        ({"name": 5}, r"name: 5 is not a non-empty text \(put it in quotes\)"),
        ({"kind": "ordinl"}, "kind: 'ordinl' is not one of .*did you mean 'ordinal'"),
        ({"labls": []}, "card: field: 'labls' .* did you mean 'labels'"),
        ({"labels": "none"}, "labels: 'none' is not a list"),
        ({"labels": ["none"]}, "labels: 1 given; a task has at least 2"),
        ({"labels": ["none", False]}, r"labels\[1\]: False .* \(put it in quotes\)"),
        ({"labels": ["none", {"nam": "x"}]}, r"labels\[1\]: field: 'nam' .* did you mean 'name'"),
        ({"labels": ["none", {"name": 1}]}, r"labels\[1\]\.name: 1 .* \(put it in quotes\)"),
        ({"labels": ["none", {"name": "x", "synonyms": "y"}]}, r"labels\[1\]\.synonyms: 'y'"),
        ({"labels": ["none", {"name": "x", "synonyms": [0]}]}, r"labels\[1\]\.synonyms\[0\]: 0"),
        ({"labels": ["none", {"name": "x", "absence": "no"}]}, r"labels\[1\]\.absence: 'no'"),
        (
            {"labels": ["none", {"name": "x", "attributes": [{"text": "t", "source": "nowhere"}]}]},
            r"labels\[1\]\.attributes\[0\]\.source: 'nowhere' is not one of ref",
        ),
        (
            {"labels": ["none", {"name": "x", "attributes": [{"text": "t"}]}]},
            r"labels\[1\]\.attributes\[0\]\.source: None is not a non-empty text",
        ),
        ({"knowledge": [{"source": "ref"}]}, r"knowledge\[0\]\.text: None"),
        ({"knowledge": ["text"]}, r"knowledge\[0\]: 'text' is not a mapping with text, source"),
        (
            {"knowledge": [{"text": "t", "source": "ref", "review": "unreviewed"}]},
            r"knowledge\[0\]\.review: a card does not hold reviews; remove the line",
        ),
        ({"references": {"ref": {"url": "https://a.org"}}}, r"references\.ref\.citation: None"),
        (
            {"references": {"ref": {"citation": "A", "url": "a b"}}},
            r"ref\.url: 'a b' is no address",
        ),
        (
            {"references": {"ref": {"citation": "A", "opened": "no"}}},
            r"ref\.opened: 'no' is neither true nor false",
        ),
        ({"unopened": []}, "card: field: 'unopened' is not one of"),
        ({"references": {"ref": {"citation": "A. 2020."}}}, r"ref\.url: missing.*write url: https"),
        ({"references": {"ref": {"citation": "A", "url": None}}}, r"ref\.url: .*write url: …"),
        ({"knowledge": [{"text": "t"}]}, r"knowledge\[0\]\.source: .*write source: …"),
        ({"urls": {}}, "card: field: 'urls' is not one of"),
        ({"reviews": []}, "card: field: 'reviews' is not one of"),
        ({"knowledge": {"text": "t"}}, "knowledge: .* is not a list"),
        ({"references": ["ref"]}, "references: .* is not a mapping"),
        ({"references": {"ref": 2003}}, r"references\.ref: 2003 is not a text"),
        ({"data": {"year": 2003}}, r"data\.year: 2003 is not a text \(put it in quotes\)"),
        ({"reward": ["linear"]}, "reward: .* is not a mapping"),
        ({"reward": {"decai": "linear"}}, "reward setting: 'decai' .* did you mean 'decay'"),
        ({"reward": {"weights": {"format": -1}}}, r"weights\.format: -1"),
        ({"first_grade": -1}, "first_grade: -1 is not a whole number from 0 on"),
        ({"max_typos": 2}, "max_typos: 2 is not 0 or 1"),
        ({"modality": 3}, "modality: 3"),
        ({"labels": ["none", "None"]}, "'None' names two labels, 'none' and 'None'"),
        ({"labels": ["nodule", "nodules"], "max_typos": 1}, "are so close .* max_typos: 0"),
        ({"labels": ["none", "..."]}, "'...' has no letter or digit"),
        ({"labels": ["2", "1"]}, r"labels\[0\]: '2' is the name of grade 1"),
    ],
)
def test_a_wrong_card_is_named_by_file_and_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^cards/x\.yaml: .*{message}"):
        parse_card(yaml.safe_dump({**MINIMAL, **changes}), where="cards/x.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "card: None is not a mapping with name, kind"),
        ("[]", r"card: \[\] is not a mapping"),
        ("kind: classification", "name: missing"),
        (HEAD + LABELS + "name: other\n", "the key 'name' is given twice in the mapping at line 1"),
        (HEAD + LABELS + "data: {a: b, a: c}\n", "'a' is given twice in the mapping at line 5"),
        (HEAD + "labels: [no, yes]\n", r"labels\[0\]: False .* \(put it in quotes\)"),
        (HEAD + "labels: [benign\n", "goes in quotes"),
        (HEAD + "labels: !!python/name:os.system\n", "could not determine a constructor"),
        (HEAD + "labels: [2003-13-45, b]\n", "month must be in"),
        ("? [a]\n: b\n", "unhashable key"),
        ("\0", "special characters are not allowed"),
        ("[" * 3000, "nested too deeply"),
    ],
)
def test_a_card_that_is_no_card(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)^x.yaml: .*{message}"):
        parse_card(text, where="x.yaml")


def test_a_card_that_cannot_be_found_or_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml' cannot be read: .*No such file"):
        Task.load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        Task.load(tmp_path / "folder.yml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"cannot be read: byte 0x.. is not UTF-8"):
        Task.load(binary)
    with pytest.raises(ConfigError, match="is not one of bccd"):
        Task.load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name: '' is not a non-empty string"),
        ({"labels": "ab"}, "labels: 'ab' is not a list"),
        ({"labels": ["a", 7]}, r"labels\[1\]: 7 is not a label name or a Label"),
        ({"labels": ["a", Label("b", "c")]}, r"labels\[1\]\.synonyms: 'c' is not a list"),  # type: ignore[arg-type]
        ({"labels": ["a", Label("b", None)]}, r"labels\[1\]\.synonyms: None"),  # type: ignore[arg-type]
        ({"labels": ["a", Label("b", absence=1)]}, r"labels\[1\]\.absence: 1"),  # type: ignore[arg-type]
        ({"kind": "localisation", "labels": ["a", "a"]}, "'a' names two labels|given twice"),
        ({"reward": {"frame": "permille"}}, "frame: 'permille' is not one of .*'per-mille'"),
        ({"reward": {"box_quality": "diou"}}, "box_quality: 'diou'"),
        ({"reward": {"annotators": "all"}}, "annotators: 'all'"),
        ({"knowledge": ["text"]}, r"knowledge\[0\]: 'text' is not a Statement"),
        ({"reward": 5}, "reward: 5 is not RewardSettings"),
        ({"reward": {"delta": 7}}, "delta: 7 is not a sign"),
        ({"max_typos": True}, "max_typos: True is not 0 or 1"),
        ({"first_grade": True}, "first_grade: True is not a whole number from 0 on"),
        ({"first_grade": "1"}, "first_grade: '1' is not a whole number"),
        ({"first_grade": 1.0}, r"first_grade: 1\.0 is not a whole number"),
        ({"first_grade": -1}, "first_grade: -1 is not a whole number"),
        ({"labels": ["a", Label("b", cost=100.5)]}, r"labels\[1\]\.cost: 100\.5 is not"),
        ({"labels": ["a", Label("b", attributes="c")]}, r"labels\[1\]\.attributes: 'c' is not a"),  # type: ignore[arg-type]
        ({"knowledge": "text"}, "knowledge: 'text' is not a list of Statements"),
        ({"knowledge": 5}, "knowledge: 5 is not a list of Statements"),
        ({"references": "x"}, "references: 'x' is not a mapping of names to texts"),
        ({"references": {"x": 5}}, r"references\.x: 5 is not a text"),
        ({"question": 5}, "task 'demo': question: 5 is not a text"),
        ({"modality": None}, "task 'demo': modality: None is not a text"),
        ({"laterality": "paired"}, "laterality: 'paired' is not a Laterality"),
    ],
)
def test_a_wrong_task_is_named_by_field(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Task(**{"name": "demo", "labels": ["a", "b"], **arguments})


def test_a_task_has_its_own_hash() -> None:
    assert hash(make("demo", "a", "b")) != hash(make("demo", "a", "c"))


def test_a_label_may_be_named_like_a_phrase_for_nothing() -> None:
    task = make("demo", "Nothing", "cyst", kind="localisation")
    assert [task.lexicon.label(text) for text in ("nothing", "cyst", "none")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("count", "allowed"),
    [
        (2, "allowed: the indices 0 to 1, or a name out of 'a', 'b'$"),
        (20, "the indices 0 to 19, or a name out of 'a', .* 't'$"),
        (21, "the indices 0 to 20, or a name out of 'a', .* 't', …$"),
    ],
)
def test_a_wrong_target_is_told_the_first_twenty_labels(count: int, allowed: str) -> None:
    task = make("demo", *"abcdefghijklmnopqrstuvwxyz"[:count])
    with pytest.raises(ConfigError, match=rf"^task 'demo': target 'zz' is not .*{allowed}"):
        task.target_index("zz")


@pytest.mark.parametrize(
    "citation", ["A. On cells. doi:10.1000/182.", "A. arXiv:2409.11546", "A. https://a.org/x"]
)
def test_a_reference_needs_no_address_where_its_citation_has_one(citation: str) -> None:
    card = {**MINIMAL}
    card["references"] = {"ref": {"citation": citation}}
    task = parse_card(yaml.safe_dump(card))
    assert task.references["ref"] == citation
    assert not task.urls


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("question: Breast ultrasound: what is it?", "line 3, column 28: .*colon.*goes in quotes"),
        ("\tquestion: What is it?", "line 3, .*tab: indent with spaces"),
        ("question: *what is it?", "line 3, .*in quotes"),
        ("question: @home what is it?", "line 3, .*in quotes"),
        ("question: [what is it?", ".*in quotes"),
    ],
)
def test_a_text_that_is_no_yaml_says_what_to_write(line: str, mend: str) -> None:
    text = f"name: demo\nkind: classification\n{line}\nlabels: [a, b]\n"
    with pytest.raises(ConfigError, match=mend) as raised:
        parse_card(text)
    assert "unicode string" not in str(raised.value)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_card_can_be_copied_and_changed(name: str, tmp_path: Path) -> None:
    copy = tmp_path / f"{name}.yaml"
    copy.write_text(copied_card(name), encoding="utf-8")
    task, same = Task.load(copy), Task.load(name)
    assert task.digest == same.digest
    assert task.knowledge_text() == same.knowledge_text()
    assert task.data["card"] == f"copied from {name} of medreward {__version__}"


def test_a_copy_takes_a_modifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "show", "retinamnist", "--yaml"]) == 0
    text = capsys.readouterr().out.replace("modifiers: [", "modifiers: [macular, edema, ")
    copy = tmp_path / "mine.yaml"
    copy.write_text(text.replace("name: retinamnist", "name: mine", 1), encoding="utf-8")
    said = "<think>x</think><answer>Moderate NPDR with macular edema</answer>"
    assert explain(said, 2, task=copy).correct
    assert main(["tasks", "show", str(copy), "--yaml"]) == 0
    assert capsys.readouterr().out == copy.read_text(encoding="utf-8")
