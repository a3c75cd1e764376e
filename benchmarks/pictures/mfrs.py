"""A group's rewards and advantages without and with partial credit, by the real reward."""

from __future__ import annotations

from statistics import fmean, pstdev

from benchmarks.pictures import svg as draw
from medreward import shaped_reward

TASK, TRUTH = "icdr", 3
ANSWERS = (0, 1, 1, 2, 2, 2, 4, 4)  # a group in which no answer is right
PANELS = (
    ("exact", "Before: right or wrong only (decay: exact)", "all are 0: the policy learns nothing"),
    ("geometric", "After: MFRS (decay: geometric)", "2 and 4 are one grade off: more likely now"),
)
LEFT, TOP, BAR, GAP, HIGH, WIDE = 80, 86, 26, 14, 56, 330


def rewards(decay: str) -> list[float]:
    """Return what each completion of the group earns."""
    group = [f"<think>Looked closely.</think><answer>{grade}</answer>" for grade in ANSWERS]
    return shaped_reward(group, TRUTH, task=TASK, knowledge="", decay=decay)


def advantages(values: list[float]) -> list[float]:
    """Return what GRPO makes of a group's rewards: less the mean, over the deviation."""
    spread = pstdev(values)
    return [(value - fmean(values)) / spread if spread else 0.0 for value in values]


def bars(x: float, zero: float, scale: float, values: list[float]) -> list[str]:
    """Return a bar for each value, with its number."""
    parts = [draw.line(x, x + len(values) * (BAR + GAP), zero)]
    for i, value in enumerate(values):
        left, tall = x + i * (BAR + GAP) + GAP / 2, abs(value) * scale
        colour = draw.TEAL if value >= 0 else draw.ORANGE
        top = zero - tall if value >= 0 else zero
        said = f"{value:.2f}" if value else "0"
        parts += [
            f'<rect x="{left:g}" y="{top:.1f}" width="{BAR}" height="{tall:.1f}" fill="{colour}"/>',
            draw.text(
                left + BAR / 2, top - 4 if value >= 0 else top + tall + 12, said, "small", "middle"
            ),
        ]
    return parts


def panel(x: float, decay: str, title: str, foot: str) -> list[str]:
    """Return one panel: the answers, their rewards and their advantages."""
    values = rewards(decay)
    parts = [draw.text(x, TOP - 24, title, "bold")]
    parts += bars(x, TOP + HIGH, 90, values)
    for i, grade in enumerate(ANSWERS):
        middle = x + i * (BAR + GAP) + GAP / 2 + BAR / 2
        parts.append(draw.text(middle, TOP + HIGH + 18, str(grade), "bold", "middle"))
    parts += bars(x, TOP + HIGH + 84, 32, advantages(values))
    parts.append(draw.text(x, TOP + HIGH + 178, foot, "small"))
    return parts


def svg() -> str:
    """Return the picture."""
    assert not any(advantages(rewards("exact"))), (
        "the left panel shows a group that teaches nothing"
    )
    parts = [
        draw.text(16, 26, f"Eight answers to one image of grade {TRUTH}: none is right", "bold"),
        draw.text(16, TOP + HIGH - 8, "reward", "small"),
        draw.text(16, TOP + HIGH + 17, "answer", "small"),
        draw.text(16, TOP + HIGH + 87, "advantage", "small"),
    ]
    for i, (decay, title, foot) in enumerate(PANELS):
        parts += panel(LEFT + i * (WIDE + 40), decay, title, foot)
    height = TOP + HIGH + 216
    parts.append(
        draw.text(
            16,
            height - 14,
            "0.2 of each reward is for the format. GRPO makes "
            "answers with an advantage above 0 more likely.",
            "small",
        )
    )
    return draw.page(
        LEFT + 2 * WIDE + 56,
        height,
        parts,
        "Rewards and advantages of a group without and with partial credit",
    )
