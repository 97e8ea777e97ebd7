"""The phase diagram: who wins where, as styles differ more and identity moves from shape into colour."""

from itertools import product
from statistics import mean, stdev

from metabin.experiments.tasks import FIRST, trial
from metabin.experiments.trials import METRICS, Task, run_trials
from metabin.streets import World

PHASE = {
    "methods": ("bn", "in", "half"),
    "styles": (0.0, 0.5, 1.0, 1.5),
    "colours": (0.0, 0.33, 0.67, 1.0),
    "iterations": 150,
}


def phase_task(style: float, colour: float, seed: int) -> Task:
    """Three streets to train on and three others, where people differ by `colour` in colour and by the rest in shape."""
    world = World(
        seed=seed, style=style, colour_identity=colour, shape_identity=round(1 - colour, 6)
    )
    return Task(world, sources=(0, 1, 2), targets=(5, 6, 7), train_ids=60, test_ids=60)


def phase(seeds: int, jobs: int) -> dict:
    """Which of BN, IN and their mixture wins, as styles differ more and as identity moves from shape into colour?"""
    plan = [
        (style, colour, m, s)
        for style, colour, s in product(
            PHASE["styles"], PHASE["colours"], range(FIRST, FIRST + seeds)
        )
        for m in PHASE["methods"]
    ]
    trials = [
        trial(m, phase_task(style, colour, s), s, iterations=PHASE["iterations"])
        for style, colour, m, s in plan
    ]
    found = dict(zip(plan, run_trials(trials, jobs), strict=True))
    cells = []
    for style, colour in product(PHASE["styles"], PHASE["colours"]):
        runs = {
            m: [found[style, colour, m, s] for s in range(FIRST, FIRST + seeds)]
            for m in PHASE["methods"]
        }
        rows = {m: {k: [r[k] for r in rs] for k in METRICS} for m, rs in runs.items()}
        cells.append({"style": style, "colour": colour, "methods": rows} | phase_winner(rows))
    return PHASE | {"cells": cells}


def phase_winner(rows: dict) -> dict:
    """Who has the highest Rank-1 of a cell, by how much more than the second in every seed, and whether that decides.

    It doesn't where the lead, averaged over seeds, is not larger than its own standard deviation between seeds.
    """
    first, second, *_ = sorted(rows, key=lambda m: -mean(rows[m]["rank1"]))
    lead = [a - b for a, b in zip(rows[first]["rank1"], rows[second]["rank1"], strict=True)]
    return {"winner": first, "second": second, "lead": lead, "decided": mean(lead) > stdev(lead)}


def phase_text(report: dict) -> str:
    """The phase diagram as a Markdown table: Rank-1 of each method in percent, and who wins."""
    methods = report["methods"]
    lines = [
        f"| style | colour | {' | '.join(methods)} | winner | lead |",
        "| --- " * (len(methods) + 4) + "|",
    ]
    for cell in report["cells"]:
        rates = " | ".join(f"{100 * mean(cell['methods'][m]['rank1']):.1f}" for m in methods)
        winner = cell["winner"] if cell["decided"] else "undecided"
        lead = 100 * mean(cell["lead"])
        lines.append(f"| {cell['style']} | {cell['colour']} | {rates} | {winner} | {lead:.1f} |")
    return "\n".join(lines)
