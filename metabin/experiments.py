"""Every table row and figure curve as a declaration, and the command that turns them into results.

    python -m metabin.experiments tables --experiment spine --seeds 5

Settings are chosen on *development worlds* by leaving one source street out; the reported worlds have other seeds.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from statistics import mean, stdev

import joblib
import torch

from metabin.checkpoint import load_model, save_model
from metabin.config import METHODS, demo
from metabin.evaluate import paired_interval
from metabin.provenance import ROOT, provenance, write_json
from metabin.streets import World
from metabin.train import Run, train
from metabin.trials import CACHE, METRICS, Task, Trial, run_trials, test

RESULTS = ROOT / "figures" / "results"
CHECKPOINTS = ROOT / "data" / "checkpoints"
SPINE = ("bn", "in", "half", "bin", "metabin")

# ---- the spine: BN, IN, Half, BIN and MetaBIN on unseen streets -------------------------------------------------

SETTINGS = {  # six a method: the same budget for each
    "bn": [dict(lr=lr, weight_decay=decay) for lr in (0.02, 0.05, 0.1) for decay in (5e-4, 5e-3)],
    "bin": [dict(lr=lr, joint_rho_scale=scale) for lr in (0.05, 0.1) for scale in (10.0, 100.0, 1000.0)],
    "metabin": [dict(lr=lr, outer_lr=outer, inner_lr_high=1.0) for lr in (0.05, 0.1) for outer in (5.0, 20.0, 50.0)],
}
SETTINGS |= {"in": SETTINGS["bn"], "half": SETTINGS["bn"]}
DEVELOPMENT = (1000, 1001)  # seeds of the worlds where settings are chosen
FIRST = 1  # reported worlds have seeds 1, 2, 3, …: the streets were designed while looking at world 0


def unseen_streets(seed: int) -> Task:
    """Train on five streets, look for people on six others."""
    return Task(World(seed=seed))


def same_streets(seed: int) -> Task:
    """Train and test on five streets alike, other people who differ in colour alone. IN should lose here."""
    world = World(seed=seed, style=0.3, camera_style=0.1, shape_identity=0.0)
    return Task(world, targets=(0, 1, 2, 3, 4))


def development(seed: int) -> Task:
    """Leave one source street out: train on four, look for people on the fifth."""
    left_out = seed % 5
    sources = tuple(d for d in range(5) if d != left_out)
    return replace(unseen_streets(seed), sources=sources, targets=(left_out,))


def trial(method: str, task: Task, seed: int, **changes) -> Trial:
    """One of METHODS with changed settings, in the demo profile."""
    return Trial(method, demo(seed=seed, **METHODS[method] | changes), task, oracle=method in ("bin", "metabin"))


def choose_settings(jobs: int) -> tuple[dict, list[dict]]:
    """The best of each method's settings by mean mAP over the development worlds, and all that was tried."""
    tried = [(method, setting) for method in SPINE for setting in SETTINGS[method]]
    trials = [
        replace(trial(m, development(s), s, **setting), oracle=False) for m, setting in tried for s in DEVELOPMENT
    ]
    found = iter(run_trials(trials, jobs))
    log = [{"method": m, "setting": setting, "mAP": [next(found)["mAP"] for _ in DEVELOPMENT]} for m, setting in tried]
    best = {m: max((row for row in log if row["method"] == m), key=lambda row: sum(row["mAP"])) for m in SPINE}
    return {m: row["setting"] for m, row in best.items()}, log


def spine(seeds: int, jobs: int) -> dict:
    """Do BN, IN, Half, BIN and MetaBIN differ on unseen streets, and where should IN lose?"""
    chosen, log = choose_settings(jobs)
    settings = {"unseen_streets": unseen_streets, "same_streets": same_streets}
    plan = [(name, m, s) for name in settings for m in SPINE for s in range(FIRST, FIRST + seeds)]
    found = run_trials([trial(m, settings[name](s), s, **chosen[m]) for name, m, s in plan], jobs)
    report = {"tuning": log, "chosen": chosen}
    for name in settings:
        runs = {m: [r for (n, k, _), r in zip(plan, found, strict=True) if (n, k) == (name, m)] for m in SPINE}
        oracles = {f"{m} + oracle rho": [r["oracle"] for r in rs] for m, rs in runs.items() if "oracle" in rs[0]}
        rows = {m: {k: [r[k] for r in rs] for k in METRICS} for m, rs in (runs | oracles).items()}
        report[name] = {
            "methods": rows,
            "rho_mean": {m: [r["rho_mean"] for r in rs] for m, rs in runs.items() if "rho_mean" in rs[0]},
            "paired": {f"{a} - {b}": _paired(rows[a], rows[b]) for a, b in combinations(rows, 2)},
        }
    return report


def _paired(a: dict, b: dict) -> dict:
    """Mean difference over seeds with its 95 % interval, [mean, low, high], for each metric."""
    return {k: list(paired_interval([x - y for x, y in zip(a[k], b[k], strict=True)])) for k in ("rank1", "mAP")}


# ---- the phase diagram: who wins where --------------------------------------------------------------------------

PHASE = {
    "methods": ("bn", "in", "half"),
    "styles": (0.0, 0.5, 1.0, 1.5),
    "colours": (0.0, 0.33, 0.67, 1.0),
    "iterations": 150,
}


def phase_task(style: float, colour: float, seed: int) -> Task:
    """Three streets to train on and three others, where people differ by `colour` in colour and by the rest in shape."""
    world = World(seed=seed, style=style, colour_identity=colour, shape_identity=round(1 - colour, 6))
    return Task(world, sources=(0, 1, 2), targets=(5, 6, 7), train_ids=60, test_ids=60)


def phase(seeds: int, jobs: int) -> dict:
    """Which of BN, IN and their mixture wins, as styles differ more and as identity moves from shape into colour?"""
    plan = [
        (style, colour, m, s)
        for style, colour, s in product(PHASE["styles"], PHASE["colours"], range(FIRST, FIRST + seeds))
        for m in PHASE["methods"]
    ]
    trials = [trial(m, phase_task(style, colour, s), s, iterations=PHASE["iterations"]) for style, colour, m, s in plan]
    found = dict(zip(plan, run_trials(trials, jobs), strict=True))
    cells = []
    for style, colour in product(PHASE["styles"], PHASE["colours"]):
        runs = {m: [found[style, colour, m, s] for s in range(FIRST, FIRST + seeds)] for m in PHASE["methods"]}
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
    lines = [f"| style | colour | {' | '.join(methods)} | winner | lead |", "| --- " * (len(methods) + 4) + "|"]
    for cell in report["cells"]:
        rates = " | ".join(f"{100 * mean(cell['methods'][m]['rank1']):.1f}" for m in methods)
        winner = cell["winner"] if cell["decided"] else "undecided"
        lead = 100 * mean(cell["lead"])
        lines.append(f"| {cell['style']} | {cell['colour']} | {rates} | {winner} | {lead:.1f} |")
    return "\n".join(lines)


# ---- tables, figures, checkpoints --------------------------------------------------------------------------------


def spine_table(report: dict, setting: str) -> str:
    """One setting of the spine as a Markdown table: mean over seeds ± standard deviation, in percent."""
    lines = ["| method | Rank-1 | mAP | mINP |", "| --- | --- | --- | --- |"]
    for method, row in report[setting]["methods"].items():
        cells = [f"{100 * mean(row[k]):.1f} ± {100 * stdev(row[k]):.1f}" for k in ("rank1", "mAP", "mINP")]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spine_text(report: dict) -> str:
    """Both settings of the spine, to be printed."""
    return "\n\n".join(f"{name}\n{spine_table(report, name)}" for name in ("unseen_streets", "same_streets"))


# what runs it (seeds, jobs -> report), what prints its report; `plotting.draw_<name>` draws it
EXPERIMENTS = {"spine": (spine, spine_text), "phase": (phase, phase_text)}


def make_checkpoints(jobs: int, compare: bool) -> int:
    """Train the lessons' networks, the spine's first world with its chosen settings, or `compare` new ones with those committed.

    On the machine that made them they come out equal; elsewhere rounding may differ, so retrieval is compared: the
    exit code is 1 when a Rank-1 is off by more than 3 points.
    """
    chosen = read_results("spine")["chosen"]
    trials = [trial(method, unseen_streets(FIRST), FIRST, **chosen[method]) for method in SPINE]
    folder = CACHE.parent / "checkpoints" if compare else CHECKPOINTS
    joblib.Parallel(n_jobs=jobs)(joblib.delayed(_train_and_save)(t, folder) for t in trials)
    worst = 0.0
    for method in SPINE if compare else ():
        new, old = (
            test(load_model(place / f"{method}.safetensors")[0], trials[0].task.target_set())["rank1"]
            for place in (folder, CHECKPOINTS)
        )
        worst = max(worst, abs(new - old))
        print(f"{method:8} Rank-1 committed {old:.1%}, made again {new:.1%}")
    return int(worst > 0.03)


def _train_and_save(t: Trial, folder: Path):
    torch.set_num_threads(1)
    run = Run(t.config, t.task.train_set())
    for _ in train(run):
        pass
    save_model(folder / f"{t.method}.safetensors", run.model, t.config.norm, t.config.backbone, method=t.method)


def read_results(experiment: str) -> dict:
    """The committed numbers of an experiment. Raises FileNotFoundError with the command that makes them."""
    path = RESULTS / f"{experiment}.json"
    if not path.exists():
        raise FileNotFoundError(f"no results at {path}: run `make tables EXPERIMENT={experiment}` first")
    return json.loads(path.read_text())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m metabin.experiments", description="Tables and figures of the paper."
    )
    parser.add_argument("what", choices=("tables", "figures", "checkpoints"))
    parser.add_argument("--experiment", choices=EXPERIMENTS, default="spine")
    parser.add_argument("--seeds", type=int, default=5, help="worlds and initial weights, from 1 on (default 5)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one for each core)")
    parser.add_argument(
        "--compare", action="store_true", help="checkpoints: compare with the committed, change nothing"
    )
    options = parser.parse_args(arguments)
    run, text = EXPERIMENTS[options.experiment]
    try:
        if options.what == "checkpoints":
            return make_checkpoints(options.jobs, options.compare)
        if options.what == "tables":
            if options.seeds < 2:
                parser.error("--seeds: an interval needs at least 2")
            started = time.monotonic()
            report = run(options.seeds, options.jobs)
            made = {"command": f"python -m metabin.experiments {' '.join(arguments or sys.argv[1:])}"} | provenance()
            made["seconds"] = round(time.monotonic() - started)  # less when some trials were known already
            write_json(RESULTS / f"{options.experiment}.json", {"provenance": made} | report)
        report = read_results(options.experiment)
    except FileNotFoundError as error:
        parser.exit(2, f"{error}\n")
    print(text(report))
    if options.what == "figures":
        from metabin import plotting  # here: training needs no matplotlib

        plotting.use_style()
        draw = getattr(plotting, f"draw_{options.experiment}")
        print(plotting.save(draw(report), ROOT / "figures" / f"{options.experiment}.svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
