"""The world of the finished trainings: BN fails abroad in it, and IN fails at home."""

from collections.abc import Mapping
from itertools import product
from statistics import mean

from metabin.experiments.results import markdown, written_plan
from metabin.experiments.runner import run_groups
from metabin.experiments.tasks import DEVELOPMENT_WORLDS, FINISHED, finished_streets, trial
from metabin.experiments.trials import Trial

STYLES, COLOURS = (0.5, 0.7), (0.5, 0.7)
ABROAD, HOME = 0.10, 0.05  # least differences of Rank-1 between BN and IN
LEVEL = 0.50, 0.85  # of the best method on unseen streets
LEAST_GAIN = 0.01  # what a finished training gains at home, at most
LONGER = FINISHED["iterations"] * 3 // 2
TRAININGS = {"bn": ("bn", {}), "in": ("in", {}), "bn, longer": ("bn", {"iterations": LONGER})}


def development_trials(method: str, world: Mapping | None = None, **changes) -> list[Trial]:
    """A finished training in each development world, or in another `world` with their seeds."""
    trials = []
    for seed in DEVELOPMENT_WORLDS:
        streets = finished_streets(seed, **world or {})
        trials.append(trial(method, streets, seed, "finished", **changes))
    return trials


# The rule, written down before the search.
# Candidates: the streets of the training differ by 0.5 or 0.7 of the usual style, their cameras by
# the usual share of that (0.6); people differ in colour alone, by 0.5 or 0.7 of what is usual.
# Unseen streets differ by the usual style, far ones by 1.6 times as much.
# Before: the world was chosen by the same rule for trainings from random weights, which 2,250
# iterations did not finish. From the studio's weights people are found too easily in it: on unseen
# streets of world 1003, which decides nothing, IN had 87. Then the rule did not ask whether the
# training was finished, and chose 0.7 and 0.5, where BN gains 1.4 points at home from 300 to 450
# iterations. That question was added, and nothing else.
# Measure: Rank-1 of finished trainings, means over three development worlds; BN and IN alone are
# trained, no learned mixture, with the same settings.
# Asked for: on unseen streets IN is at least 10 points above BN; at home BN is at least 5 points
# above IN; the better of the two lies between 50 and 85 on unseen streets; and BN gains less than a
# point at home where it is trained half as long again.
# Choice: of the candidates that have all four, the one with the largest margin, where a margin is
# the smaller of the two differences, each as a multiple of what is asked for.
def worlds_report(seeds: int, jobs: int) -> dict:
    """BN and IN in every candidate, and the one that the rule chooses. `seeds` changes nothing."""
    candidates = []
    for style, colour in product(STYLES, COLOURS):
        candidates.append({"style": style, "colour_identity": colour, "shape_identity": 0.0})
    groups = {}
    for number, world in enumerate(candidates):
        for name, (method, changes) in TRAININGS.items():
            groups[number, name] = development_trials(method, world, **changes)
    rows = [{"world": world} for world in candidates]
    for (number, name), runs in run_groups(groups, jobs).items():
        rows[number][name] = {"unseen": [run["rank1"] for run in runs]}
        for test in ("far", "home"):
            rows[number][name][test] = [run["also"][test]["rank1"] for run in runs]
    for row in rows:
        row["margin"] = margin(row)
    best = max(rows, key=lambda row: row["margin"])
    if best["margin"] < 1:
        raise LookupError("no candidate has both failures: give the search other knobs")
    return {
        "worlds": list(DEVELOPMENT_WORLDS),
        "seeds": list(DEVELOPMENT_WORLDS),
        "rule": written_plan(worlds_report),
        "candidates": rows,
        "chosen": best["world"],
    }


def margin(row: dict) -> float:
    """How many times over a candidate has what is asked for; 0 at another level or unfinished."""
    bn, in_ = _means(row["bn"]), _means(row["in"])
    low, high = LEVEL
    if not low <= max(bn["unseen"], in_["unseen"]) <= high or gain(row) >= LEAST_GAIN:
        return 0.0
    return min((in_["unseen"] - bn["unseen"]) / ABROAD, (bn["home"] - in_["home"]) / HOME)


def gain(row: dict) -> float:
    """Rank-1 that BN gains at home where it is trained half as long again."""
    return _means(row["bn, longer"])["home"] - _means(row["bn"])["home"]


def _means(rates: dict) -> dict:
    return {test: mean(values) for test, values in rates.items()}


def worlds_text(report: dict) -> str:
    """Rank-1 of BN and IN in every candidate, in percent, and the choice."""
    rows = []
    for row in report["candidates"]:
        world, cells = row["world"], []
        for test in ("unseen", "far", "home"):
            cells.append(" / ".join(f"{100 * mean(row[m][test]):.1f}" for m in ("bn", "in")))
        mark = "chosen" if world == report["chosen"] else ""
        knobs = world["style"], world["colour_identity"]
        rows.append([*knobs, *cells, f"{100 * gain(row):+.1f}", f"{row['margin']:.2f}", mark])
    heads = ["style", "colour", "unseen: BN / IN", "far", "home", "BN, longer", "margin", ""]
    return markdown(heads, rows)
