"""Labels over splits: what is said of uneven ones, and `--stratify`."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from medreward import ConfigError
from medreward.data.sources import Record
from medreward.data.sources.record import Remark
from medreward.prepare.balance import say_balance, stratify
from medreward.prepare.dataset_card import Summary
from medreward.prepare.outcome import Identity, RecordOutcome
from tests import prepare_support as support

TASK = support.task(support.LETTERS)
CHEST = support.task(
    "{name: chest, kind: multilabel, question: Name all., labels: [edema, hernia, mass]}"
)
TENTHS = {"train": 0.8, "val": 0.1, "test": 0.1}


def patients(count: int, seed: int = 0) -> list[Record]:
    """Return images of patients, of whom each has mostly one of two labels; beta is rare."""
    chance = random.Random(seed)
    records: list[Record] = []
    for patient in range(count):
        mostly = chance.random() < 0.15
        for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
            name = f"{len(records)}.png"
            label = "beta" if mostly and chance.random() < 0.8 else "alpha"
            records.append(Record(name, name, name, label=label, group=f"p{patient}", key=name))
    return records


def counts_of(records: Sequence[Record]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        counts[str(record.split)][record.label] += 1
    return counts


def most_off(counts: dict[str, Counter[str]], shares: dict[str, float]) -> float:
    """Return by how many images a count differs at most from its share."""
    total = sum(counts.values(), Counter[str]())
    return max(
        abs(counts[split][label] - share * total[label])
        for split, share in shares.items()
        for label in total
    )


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_spread_as_scikit_learn_does(seed: int) -> None:
    records = patients(400, seed)
    found = stratify(records, TASK, None, seed)
    assert [r.id for r in found] == [r.id for r in records]
    splits = defaultdict(set)
    for record in found:
        splits[record.group].add(record.split)
    assert all(len(own) == 1 for own in splits.values())
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=seed)
    labels, groups = [r.label for r in records], [r.group for r in records]
    theirs: dict[str, Counter[str]] = defaultdict(Counter)
    for number, (_, held) in enumerate(folds.split(np.zeros(len(records)), labels, groups)):
        split = ("test", "val")[number] if number < 2 else "train"
        theirs[split].update(labels[i] for i in held)
    assert most_off(counts_of(found), TENTHS) <= max(2.0, most_off(theirs, TENTHS))


def test_the_same_seed_gives_the_same_splits() -> None:
    records = patients(60)
    one = [r.split for r in stratify(records, TASK, None, 1)]
    assert one == [r.split for r in stratify(records, TASK, None, 1)]
    assert one != [r.split for r in stratify(records, TASK, None, 2)]
    backwards = [r.split for r in stratify(records[::-1], TASK, None, 1)]
    assert one == backwards[::-1]


def test_rare_labels_are_in_every_split() -> None:
    """Of several labels an image; by hash, the rare one would be missing somewhere."""
    records = [
        Record(f"{i}", f"{i}", f"{i}", label=label, key=f"{i}")
        for i in range(200)
        for label in ["[]" if i % 2 else '["edema"]']
    ]
    for i in range(0, 200, 25):  # eight images
        records[i] = Record(f"{i}", f"{i}", f"{i}", label='["edema", "hernia"]', key=f"{i}")
    shares = {"train": 0.5, "val": 0.25, "test": 0.25}
    found = stratify(records, CHEST, shares, 0)
    assert Counter(r.split for r in found if "hernia" in r.label) == Counter(train=4, val=2, test=2)
    assert Counter(r.split for r in found) == Counter(train=100, val=50, test=50)
    assert say_balance(found, CHEST, offer=True) == []


def test_what_is_uneven_is_said_with_counts() -> None:
    kinds = {"train": (60, 36), "val": (40, 0), "test": (40, 24)}
    records = [
        Record(f"{split}{label}{i}", "x", "x", label=label, split=split)
        for split, counts in kinds.items()
        for label, count in zip(("alpha", "beta"), counts, strict=True)
        for i in range(count)
    ]
    said = say_balance(records, TASK, offer=False)
    assert said == [
        ("val", "has no image of a label that the data have", "beta: 60 in all"),
    ]
    records += [Record(f"x{i}", "x", "x", label="beta", split="test") for i in range(400)]
    said = say_balance(records, TASK, offer=True)
    less, more = "has less than half of its share", "has more than twice its share"
    assert [(where, what.partition(" of a label")[0], detail) for where, what, detail in said] == [
        ("train", more, "alpha: 60 of 140, and 16% of all images"),
        ("train", less, "beta: 36 of 460, and 16% of all images"),
        ("val", "has no image", "beta: 460 in all"),
        ("test", less, "alpha: 40 of 140, and 77% of all images"),
    ]
    assert all(what.endswith("; --stratify spreads labels evenly") for _, what, _ in said)


def test_few_images_are_not_held_against_their_share() -> None:
    records = [
        Record(f"{split}{i}", "x", "x", label=("alpha", "beta")[i < beta], split=split)
        for split, count, beta in (("train", 80, 12), ("test", 20, 1))
        for i in range(count)
    ]
    assert say_balance(records, TASK, offer=True) == []  # 1 where 2.6 would be its share


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"in/{'beta' if i < 5 else 'alpha'}/{i:02}.png" for i in range(50)]
    support.folder_of_images(tmp_path, names)
    own = support.card(tmp_path, support.LETTERS)
    shares = "train=0.6,val=0.2,test=0.2"
    options = ["--task", own, "--folders", tmp_path / "in", "--split", shares]
    options += ["--seed", 3, "--out", tmp_path / "out"]
    assert support.run(*options, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "has no image of a label that the data have; --stratify spreads labels evenly" in said
    assert support.run(*options, "--stratify") == 0
    assert "--stratify" not in capsys.readouterr().out
    counts = {s: Counter(support.truths(tmp_path / "out", s)) for s in ("train", "val", "test")}
    assert counts == {
        "train": Counter(alpha=27, beta=3),
        "val": Counter(alpha=9, beta=1),
        "test": Counter(alpha=9, beta=1),
    }
    text = (tmp_path / "out" / "dataset_card.md").read_text()
    assert "--stratify --seed 3 --out rows" in text
    assert "- stratify: True" in text


def test_stratify_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    record = Record("a", "a", "a", label="alpha", split="train")
    with pytest.raises(ConfigError, match="the source has its own splits"):
        stratify([record], TASK, None, 0)
    masks = support.task("{name: m, kind: segmentation, question: Outline it.}")
    with pytest.raises(ConfigError, match="not with segmentation"):
        stratify([Record("a", "a", "a", label="{}")], masks, None, 0)


def test_remarks_that_each_image_has_are_counted(tmp_path: Path) -> None:
    """Of 30,000 of a kind the first are held, by the place that a report sorts them by."""
    held, whole = Summary("x"), Summary("x")
    for number in range(30_000, 0, -1):
        remark = Remark(f"line {number}", "more than 8 bits")
        held.count(RecordOutcome(Identity("x", "train", 0, 0), remarks=(remark,)))
        whole.remarks.append(remark)
    odd = Remark("line 7", "turned")
    held.count(RecordOutcome(Identity("x", "train", 0, 0), remarks=(odd,)))
    whole.remarks.append(odd)
    assert len(held.remarks) <= 10_001
    assert held.text().splitlines()[1:] == whole.text().splitlines()
    assert "  and 29990 more: more than 8 bits" in held.text()
