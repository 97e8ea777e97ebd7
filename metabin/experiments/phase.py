"""The phase diagram: who wins where, as styles differ more and identity moves into colour."""

from itertools import product
from statistics import mean, stdev

import numpy as np

from metabin.experiments.results import markdown, rates_of
from metabin.experiments.runner import run_groups
from metabin.experiments.tasks import FIRST, trial
from metabin.experiments.trials import Task
from metabin.streets import World

PHASE = {
    "methods": ("bn", "in", "half"),
    "styles": (0.0, 0.5, 1.0, 1.5),
    "colours": (0.0, 0.33, 0.67, 1.0),
    "iterations": 150,
}


def phase_task(style: float, colour: float, seed: int) -> Task:
    """Three streets to train on and three others; people differ in colour, the rest in shape."""
    shape = round(1 - colour, 6)
    world = World(seed=seed, style=style, colour_identity=colour, shape_identity=shape)
    return Task(world, sources=(0, 1, 2), targets=(5, 6, 7), train_ids=60, test_ids=60)


def phase_report(seeds: int, jobs: int) -> dict:
    """Which of BN, IN and their mixture wins in each cell of the diagram."""
    numbers = range(FIRST, FIRST + seeds)
    methods, length = PHASE["methods"], PHASE["iterations"]
    grid = list(product(PHASE["styles"], PHASE["colours"]))
    groups = {}
    for cell, method in product(grid, methods):
        tasks = [(phase_task(*cell, seed), seed) for seed in numbers]
        groups[cell, method] = [trial(method, *task, iterations=length) for task in tasks]
    runs, cells = run_groups(groups, jobs), []
    for cell in grid:
        rows = {method: rates_of(runs[cell, method]) for method in methods}
        style, colour = cell
        cells.append({"style": style, "colour": colour, "methods": rows} | phase_winner(rows))
    return PHASE | {"worlds": list(numbers), "seeds": list(numbers), "cells": cells}


def phase_winner(rows: dict) -> dict:
    """Who has the highest Rank-1 of a cell, and its lead over the second in every seed.

    `decided` where the mean lead is larger than its standard deviation over seeds.
    """
    order = sorted(rows, key=lambda method: mean(rows[method]["rank1"]), reverse=True)
    first, second = order[:2]
    lead = np.subtract(rows[first]["rank1"], rows[second]["rank1"]).tolist()
    return {"winner": first, "second": second, "lead": lead, "decided": mean(lead) > stdev(lead)}


def phase_text(report: dict) -> str:
    """The phase diagram as a Markdown table: Rank-1 of each method in percent, and who wins."""
    rows = []
    for cell in report["cells"]:
        rates = [f"{100 * mean(cell['methods'][m]['rank1']):.1f}" for m in report["methods"]]
        winner = cell["winner"] if cell["decided"] else "undecided"
        lead = f"{100 * mean(cell['lead']):.1f}"
        rows.append([cell["style"], cell["colour"], *rates, winner, lead])
    return markdown(["style", "colour", *report["methods"], "winner", "lead"], rows)
