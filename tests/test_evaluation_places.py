"""Metrics of boxes, masks and points equal pycocotools', scikit-learn's and networkx's."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import networkx  # type: ignore[import-untyped]
import numpy as np
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment
from sklearn import metrics as sk

from medreward import Task
from medreward.runs.evaluation import as_json, evaluate, latex, markdown
from medreward.runs.evaluation_baselines import baselines
from medreward.runs.evaluation_intervals import estimates
from medreward.runs.evaluation_metrics import label_table, metrics_of
from medreward.runs.evaluation_page import evaluation_page
from medreward.runs.evaluation_readings import Prediction, predict
from medreward.scoring.scorer import Scorer
from tests.evaluation_rows import metrics_by_name, predictions, scored

SIDE = 100
CELLS = Task("cells", kind="localisation", question="Where?", labels=["RBC", "WBC", "platelet"],
             reward={"delta": 0})  # fmt: skip
Boxes = list[dict[str, Any]]


def some_boxes(chance: random.Random, near: Boxes) -> Boxes:
    """Return boxes, most of them near given ones."""
    found = []
    for one in near:
        if chance.random() < 0.8:
            moved = [v + chance.randint(-6, 6) for v in one["box"]]
            x1, y1, x2, y2 = (min(SIDE, max(0, v)) for v in moved)
            label = one["label"] if chance.random() < 0.8 else "WBC"
            if x2 > x1 and y2 > y1:
                found.append({"box": [x1, y1, x2, y2], "label": label})
    for _ in range(chance.randint(0, 2)):
        x, y = chance.randint(0, 60), chance.randint(0, 60)
        box = [x, y, x + chance.randint(5, 40), y + chance.randint(5, 40)]
        found.append({"box": box, "label": chance.choice(["RBC", "WBC", "platelet"])})
    return found


def random_rows(seed: int, count: int = 40) -> tuple[list[Boxes], list[Boxes], list[float]]:
    chance = random.Random(seed)
    true = [some_boxes(chance, []) + some_boxes(chance, []) for _ in range(count)]
    said = [some_boxes(chance, one) for one in true]
    said[0], true[1] = [], []
    # Two of the same confidence: their order is that of the rows, then of the answers.
    sure = [chance.choice((0.2, 0.5, 0.9)) for _ in true]
    return true, said, sure


def evaluated(true: list[Boxes], said: list[Boxes], sure: list[float]) -> COCOeval:
    """Return what pycocotools makes of the same boxes."""
    names = [label.name for label in CELLS.labels]

    def entries(rows: list[Boxes]) -> list[dict[str, Any]]:
        return [
            {"image_id": i, "category_id": names.index(one["label"]), "iscrowd": 0, "id": 0,
             "bbox": (b := [*one["box"][:2], one["box"][2] - one["box"][0],
                            one["box"][3] - one["box"][1]]), "area": b[2] * b[3], "score": sure[i]}
            for i, boxes in enumerate(rows) for one in boxes
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        annotations = [{**one, "id": i + 1} for i, one in enumerate(entries(true))]
        coco.dataset = {"info": {}, "images": [{"id": i} for i in range(len(true))],
                        "categories": [{"id": i} for i in range(len(names))],
                        "annotations": annotations}  # fmt: skip
        coco.createIndex()
        found = COCOeval(coco, coco.loadRes(entries(said)), "bbox")
        found.evaluate()
        found.accumulate()
        found.summarize()
    return found


def box_predictions(
    true: list[Boxes], said: list[Boxes], sure: list[float] | None = None
) -> list[Prediction]:
    answers = [
        json.dumps([{"bbox_2d": one["box"], "label": one["label"]} for one in boxes])
        for boxes in said
    ]
    own = predictions(CELLS, true, answers)
    assert [one.said.total for one in own] == [len(boxes) for boxes in said]
    given = sure or [None] * len(own)  # type: ignore[list-item]
    return [one._replace(confidence=value) for one, value in zip(own, given, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_equals_pycocotools(seed: int) -> None:
    true, said, sure = random_rows(seed)
    for given in (sure, None):
        found = metrics_by_name(CELLS, box_predictions(true, said, given))
        whole, half, *_ = evaluated(true, said, given or [1.0] * len(true)).stats
        assert found["AP at IoU 0.5"] == pytest.approx(half, abs=1e-9)
        assert found["AP at IoU 0.5 to 0.95"] == pytest.approx(whole, abs=1e-9)


def test_few_boxes_equal_pycocotools() -> None:
    """Rows without a true box or without an answer, labels that are true nowhere, ties."""
    for seed in range(100, 130):
        true, said, sure = random_rows(seed, 3)
        if not any(said) or not any(true):
            continue
        found = metrics_by_name(CELLS, box_predictions(true, said, sure))
        whole, half, *_ = evaluated(true, said, sure).stats
        assert found["AP at IoU 0.5"] == pytest.approx(half, abs=1e-9), seed
        assert found["AP at IoU 0.5 to 0.95"] == pytest.approx(whole, abs=1e-9), seed


@pytest.mark.parametrize("seed", range(4))
def test_precision_and_recall_equal_pycocotools(seed: int) -> None:
    true, said, sure = random_rows(seed)
    found = metrics_by_name(CELLS, box_predictions(true, said, sure))
    theirs = evaluated(true, said, sure)
    every = [one for one in theirs.evalImgs if one and one["aRng"] == theirs.params.areaRng[0]]
    total, there = sum(map(len, said)), sum(map(len, true))
    for level, name in ((0, "0.5"), (5, "0.75")):
        hits = sum(int((one["dtMatches"][level] > 0).sum()) for one in every)
        assert found[f"precision at IoU {name}"] == pytest.approx(hits / total, abs=1e-9)
        assert found[f"recall at IoU {name}"] == pytest.approx(hits / there, abs=1e-9)
        assert found[f"F1 at IoU {name}"] == pytest.approx(2 * hits / (total + there), abs=1e-9)
    table = label_table(CELLS, box_predictions(true, said, sure))
    recall = theirs.eval["recall"][0, :, 0, -1]
    assert [row["recall"] for row in table] == pytest.approx(recall, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_iou_of_rows_is_that_of_the_best_matches(seed: int) -> None:
    true, said, _ = random_rows(seed)
    found = metrics_by_name(CELLS, box_predictions(true, said))
    rows, by_label = [], {label.name: [0.0, 0.0, 0] for label in CELLS.labels}
    for theirs, ours in zip(true, said, strict=True):
        summed = 0.0
        for name, sums in by_label.items():
            parts = [
                [[*b["box"][:2], b["box"][2] - b["box"][0], b["box"][3] - b["box"][1]]
                 for b in boxes if b["label"] == name]
                for boxes in (ours, theirs)
            ]  # fmt: skip
            own = 0.0
            if all(parts):
                table = coco_masks.iou(*(np.array(p, float) for p in parts), [0] * len(parts[1]))
                own = float(table[linear_sum_assignment(-table)].sum())
            summed += own
            by_label[name] = [sums[0] + own, sums[1] + max(map(len, parts)), sums[2] + 1]
        rows.append(summed / max(len(theirs), len(ours)) if theirs or ours else 1.0)
    assert found["mean IoU"] == pytest.approx(np.mean(rows), abs=1e-9)
    macro = np.mean([shared / most for shared, most, _ in by_label.values()])
    assert found["macro IoU"] == pytest.approx(macro, abs=1e-9)


def test_boxes_that_cannot_be_right_count_as_predicted() -> None:
    task = Task("own", kind="localisation", question="Where?", labels=["a"])
    target = {"boxes": [[0, 0, 8, 8]], "size": [20, 20]}
    right, outside = ('{"bbox_2d": [0, 0, 8, 8], "label": "a"}',
                      '{"bbox_2d": [0, 0, 800, 8], "label": "a"}')  # fmt: skip
    own = predictions(task, [target] * 3, [f"[{right}]", f"[{right}, {outside}]", "no idea"])
    found = metrics_by_name(task, own)
    assert found["precision at IoU 0.5"] == pytest.approx(2 / 3)
    assert found["recall at IoU 0.5"] == pytest.approx(2 / 3)
    assert found["mean IoU"] == pytest.approx((1 + 0.5) / 3)
    assert found["unreadable"] == pytest.approx(1 / 3)


def test_of_equal_overlaps_the_last_is_taken_as_pycocotools_does() -> None:
    """So that the second box, which fits the first true one alone, is matched too."""
    true = [[{"box": box, "label": "WBC"} for box in ([0, 0, 10, 10], [4, 0, 14, 10])]]
    said = [[{"box": box, "label": "WBC"} for box in ([2, 0, 12, 10], [0, 0, 10, 10])]]
    found = metrics_by_name(CELLS, box_predictions(true, said))
    recall = evaluated(true, said, [1.0]).eval["recall"][0, :, 0, -1]  # -1 where nothing is true
    assert found["recall at IoU 0.5"] == recall.max() == 1.0


def test_nothing_to_find_said_is_whole_and_unread_is_nothing() -> None:
    task = Task("own", kind="localisation", question="Where?", labels=["a"])
    empty = {"boxes": [], "size": [20, 20]}
    found = metrics_by_name(task, predictions(task, [empty] * 2, ["[]", "zorb"]))
    assert (found["mean IoU"], found["accuracy"]) == (0.5, 0.5)
    assert np.isnan(found["recall at IoU 0.5"])
    assert np.isnan(found["AP at IoU 0.5"])


def test_a_consensus_is_what_boxes_are_held_against_where_the_card_says_so() -> None:
    lists = [[[0, 0, 10, 10]], [[0, 0, 10, 12]], []]
    for how, wanted in (("consensus", 1.0), ("best", 10 / 11)):
        task = Task("own", kind="localisation", question="?", reward={"annotators": how})
        target = task.parse_target({"annotators": lists})
        own = [predict(Scorer(task), "r", "<think>x</think><answer>[[0,0,10,11]]</answer>", target)]
        assert metrics_by_name(task, own)["mean IoU"] == pytest.approx(wanted)


def test_people_are_held_against_each_other_where_several_drew(tmp_path: Path) -> None:
    """The third one drew nothing; the first two overlap by 10 / 12."""
    task = Task("own", kind="localisation", question="?", reward={"delta": 0})
    lists = [[[0, 0, 10, 10]], [[0, 0, 10, 12]], []]
    size = [28, 28]
    targets = [{"annotators": lists, "size": size}] * 3
    targets += [{"boxes": [[0, 0, 5, 5]], "size": size}] * 2
    own = scored(tmp_path, task, targets, ["[[0, 0, 10, 10]]"] * 5)
    (found,) = evaluate(own, resamples=100)
    ((name, people),) = found.ceiling.items()
    assert name == "people: each annotator against the others, 3 rows"
    values = {one.name: one for one in people}
    assert values["mean IoU"].value == pytest.approx(2 / 3 * 10 / 12)
    assert values["mean IoU"].low == pytest.approx(2 / 3 * 10 / 12)  # rows alike, drawn whole
    assert values["recall at IoU 0.5"].value == pytest.approx(2 / 3)
    assert values["unreadable"].value == 0.0
    assert f"| {name} |" in markdown([found])
    assert "| mean IoU | 0.700" in markdown([found])
    assert "0.556 (0.556 to 0.556) |\n" in markdown([found])
    tex = latex([found])
    assert r"baseline 2 & people \\" in tex
    assert "People: each annotator against the others, 3 rows." in tex
    page = evaluation_page(tmp_path / "rows.parquet", {"m": {"own": own}}, [found], facts={})
    assert page.sections[0].baselines[-1] == name
    (row,) = [one for one in page.sections[0].metrics if one.name == "mean IoU"]
    assert row.marks[-1] == pytest.approx(2 / 3 * 10 / 12)
    assert json.loads(as_json([found]))["evaluations"][0]["ceiling"][name][0]["name"] == "accuracy"
    alone = scored(tmp_path, task, targets[3:], ["[[0, 0, 10, 10]]"] * 2)
    assert evaluate(alone, resamples=100)[0].ceiling == {}


def test_the_boxes_of_one_row_are_no_most_frequent_answer() -> None:
    task = Task("own", kind="localisation", question="?", reward={"delta": 0})
    own = predictions(task, [[[0, 0, 8, i]] for i in range(2, 5)], ["[[0, 0, 8, 2]]"] * 3)
    first = next(iter(baselines(Scorer(task), own, 0)))
    assert first.endswith("]]', the right answer of one row")


def test_intervals_of_average_precision_hold_the_value_and_are_repeatable() -> None:
    true, said, sure = random_rows(7)
    own = box_predictions(true, said, sure)
    metrics = metrics_of(CELLS, own)
    clusters = [one.id for one in own]
    found = {one.name: one for one in estimates(metrics, clusters, resamples=60)}
    for name in ("AP at IoU 0.5", "AP at IoU 0.5 to 0.95", "F1 at IoU 0.5"):
        assert 0 < found[name].low < found[name].value < found[name].high < 1
    assert estimates(metrics, clusters, resamples=60) == [*found.values()]


def test_a_drawn_sample_is_what_pycocotools_makes_of_its_rows() -> None:
    """A weight of 0 or 1 is a row that is left out or there."""
    true, said, sure = random_rows(8)
    chosen = [i for i in range(len(true)) if i % 3]
    metric = next(
        one for one in metrics_of(CELLS, box_predictions(true, said, sure))
        if one.name == "AP at IoU 0.5"
    )  # fmt: skip
    weights = np.array([[float(i in chosen) for i in range(len(true))]])
    value = metric.of_clusters(np.arange(len(true)), len(true))(weights)[0]
    boxes, guesses = ([rows[i] for i in chosen] for rows in (true, said))
    part = evaluated(boxes, guesses, [sure[i] for i in chosen])
    assert value == pytest.approx(part.stats[1], abs=1e-9)


def test_masks_equal_scikit_learn() -> None:
    chance: Any = np.random.default_rng(3)
    task = Task("lesion", kind="segmentation", question="Where?")
    true, said = ((chance.random((2, 12, 16, 16)) < 0.3).astype(np.uint8)) * np.array(
        [0, *[1] * 11], dtype=np.uint8
    ).reshape(1, 12, 1, 1)
    answers = []
    for mask in said:
        rle = coco_masks.encode(np.asfortranarray(mask))
        answers.append(json.dumps({"size": [16, 16], "counts": rle["counts"].decode()}))
    answers[1] = "zorb"
    found = metrics_by_name(task, predictions(task, [*true], answers))
    read = said.copy()
    read[1] = 0
    flat = [(t.ravel(), s.ravel()) for t, s in zip(true, read, strict=True)]
    dice = [sk.f1_score(t, s, zero_division=1) for t, s in flat]
    overlap = [sk.jaccard_score(t, s, zero_division=1) for t, s in flat[1:]]
    assert found["mean Dice"] == pytest.approx(np.mean(dice), abs=1e-9)
    assert found["mean IoU"] == pytest.approx((1 + sum(overlap[1:])) / 12, abs=1e-9)
    assert found["mean Dice where something is there"] == pytest.approx(np.mean(dice[1:]), abs=1e-9)
    pooled = true.ravel(), read.ravel()
    assert found["Dice of all pixels"] == pytest.approx(sk.f1_score(*pooled), abs=1e-9)
    assert found["IoU of all pixels"] == pytest.approx(sk.jaccard_score(*pooled), abs=1e-9)


def test_points_hit_as_many_places_as_networkx_matches() -> None:
    chance = random.Random(4)
    task = Task("lesion", kind="pointing", question="Where?", labels=["lesion"])
    targets, answers, counted = [], [], [0, 0, 0]
    for _ in range(30):
        boxes = [
            [x, y, x + chance.randint(20, 60), y + chance.randint(20, 60)]
            for x, y in ((chance.randint(0, 40), chance.randint(0, 40)) for _ in range(3))
        ]
        points = [[chance.randint(0, 99), chance.randint(0, 99)] for _ in range(4)]
        points = [*map(list, dict.fromkeys(map(tuple, points)))]
        graph = networkx.Graph()
        graph.add_nodes_from(range(len(points)))
        graph.add_edges_from(
            (i, f"box {j}")
            for i, (x, y) in enumerate(points)
            for j, (x1, y1, x2, y2) in enumerate(boxes)
            if x1 <= x < x2 and y1 <= y < y2
        )
        matched = networkx.bipartite.maximum_matching(graph, top_nodes=range(len(points)))
        counted = [n + m for n, m in zip(counted, (len(matched) // 2, len(points), 3), strict=True)]
        targets.append({"boxes": boxes, "size": [100, 100]})
        answers.append(json.dumps(points))
    found = metrics_by_name(task, predictions(task, targets, answers))
    hits, said, true = counted
    assert found["precision of points"] == pytest.approx(hits / said, abs=1e-12)
    assert found["recall of places"] == pytest.approx(hits / true, abs=1e-12)
    assert found["F1 of points"] == pytest.approx(2 * hits / (said + true), abs=1e-12)


def test_a_copy_of_a_point_hits_nothing_more() -> None:
    task = Task("lesion", kind="pointing", question="Where?", labels=["lesion"])
    target = {"boxes": [[0, 0, 20, 20], [5, 5, 25, 25]], "size": [100, 100]}
    found = metrics_by_name(task, predictions(task, [target], ["[[10, 10], [10, 10]]"]))
    assert found["recall of places"] == found["precision of points"] == 0.5
