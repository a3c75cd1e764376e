"""What one radiologist's boxes earn against another's: the ceiling of a localisation reward.

VinDr-CXR has 15,000 chest radiographs, each read by three radiologists (Nguyen et al., Scientific
Data 9:429, 2022). Their boxes come with the package torchxrayvision as a table. One radiologist's
boxes are written as an answer and scored against another's:

    python benchmarks/human_ceiling.py [--images N]

Prints the tables of docs/reference/localisation.md. 95 % intervals by bootstrap over images.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from medreward import Label, RewardSettings, Task
from medreward.kinds.boxes.match import box_reward
from medreward.task.settings import ANNOTATORS, BOX_QUALITIES

Drawn = list[dict[str, object]]
NOTHING = "No finding"
COMMONEST, DRAWS, TABLE = 8, 2000, "vinbigdata-train.csv.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="only so many images with findings")
    images = read()
    names = Counter(str(b["label"]) for read in images for boxes in read for b in boxes)
    task = Task("vindr", kind="localisation", labels=tuple(map(Label, names)), max_typos=0)
    found = [read for read in images if any(read)][: parser.parse_args().images]
    alone = len([read for read in images if any(read)]) / len(images)
    readers = Counter(map(len, images))
    print(f"{len(images)} images, {alone:.1%} with a box by at least one; readers: {dict(readers)}")
    by_quality(found, images, task)
    by_class(found, [name for name, _ in names.most_common(COMMONEST)])
    by_annotators(found, task)


def read() -> list[list[Drawn]]:
    """Return the boxes of each radiologist of each image; the package itself is not imported."""
    spec = find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        raise SystemExit("torchxrayvision is not installed")
    rows: dict[str, dict[str, Drawn]] = defaultdict(lambda: defaultdict(list))
    with gzip.open(Path(spec.origin).parent / "data" / TABLE, "rt", newline="") as file:
        for row in csv.DictReader(file):
            boxes = rows[row["image_id"]][row["rad_id"]]
            if row["class_name"] != NOTHING:
                sides = [float(row[name]) for name in ("x_min", "y_min", "x_max", "y_max")]
                boxes.append({"box": sides, "label": row["class_name"]})
    return [list(by_reader.values()) for by_reader in rows.values()]


def earned(one: Drawn, others: Sequence[Drawn], task: Task, settings: RewardSettings) -> float:
    target = task.parse_target({"annotators": list(others)})
    return box_reward(json.dumps(one), target, task, settings).value


def pairs(found: Iterable[list[Drawn]], task: Task, quality: str, what: str = "") -> np.ndarray:
    """Return, for each image, the mean over ordered pairs of which at least one drew a box."""
    settings = RewardSettings(delta=0, box_quality=quality)
    return np.array(
        [
            np.mean([earned(a, [b], task, settings) for a, b in permutations(drawn, 2) if a or b])
            for drawn in tqdm(list(found), desc=f"{what} {quality}".strip(), disable=None)
        ]
    )


def interval(values: np.ndarray) -> str:
    generator = np.random.default_rng(0)
    count = len(values)
    means = [values[generator.integers(0, count, count)].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():.3f} ({low:.3f}-{high:.3f})"


def by_quality(found: list[list[Drawn]], images: list[list[Drawn]], task: Task) -> None:
    """Print what pairs with a box earn, and all pairs: two who drew nothing earn 1."""
    place = Task("place", kind="localisation")
    shares = [np.mean([not (a or b) for a, b in permutations(read, 2)]) for read in images]
    agreed = np.array(shares)
    kept = agreed < 1
    print("\n| quality | boxes and classes | boxes alone | all pairs, boxes and classes |")
    print("|---|---|---|---|")
    for quality in BOX_QUALITIES:
        values, alone = (pairs(found, one, quality) for one in (task, place))
        everything = agreed.copy()
        if len(values) == kept.sum():
            everything[kept] += (1 - agreed[kept]) * values
        cells = [interval(v) for v in (values, alone, everything)]
        print(f"| `{quality}` | {' | '.join(cells)} |")


def by_class(found: list[list[Drawn]], names: list[str]) -> None:
    """Print what each of the commonest classes earns, where one of a pair drew it."""
    place = Task("place", kind="localisation")
    print(f"\n| class | images | {' | '.join(f'`{q}`' for q in BOX_QUALITIES)} | both drew it |")
    print("|---|---|" + "---|" * (len(BOX_QUALITIES) + 1))
    for name in names:
        chosen = [[[b for b in boxes if b["label"] == name] for boxes in read] for read in found]
        drawn = [read for read in chosen if any(read)]
        cells = [interval(pairs(drawn, place, quality, name)) for quality in BOX_QUALITIES]
        agreed = [bool(a and b) for read in drawn for a, b in permutations(read, 2) if a or b]
        print(f"| {name} | {len(drawn)} | {' | '.join(cells)} | {np.mean(agreed):.0%} |")


def by_annotators(found: list[list[Drawn]], task: Task) -> None:
    """Print what one radiologist earns against both of the others, in images with a box."""
    print("\n| `annotators` | one against the other two (`iou`) |\n|---|---|")
    for name in ANNOTATORS:
        settings = RewardSettings(delta=0, annotators=name)
        values = [
            np.mean(
                [
                    earned(one, read[:i] + read[i + 1 :], task, settings)
                    for i, one in enumerate(read)
                ]
            )
            for read in tqdm(found, desc=name, disable=None)
        ]
        print(f"| `{name}` | {interval(np.array(values))} |")


if __name__ == "__main__":
    main()
