"""How long is long enough: the same trainings, from far too short to longer than needed."""

from collections.abc import Mapping
from itertools import pairwise, product
from statistics import mean

from metabin.experiments.results import markdown
from metabin.experiments.tasks import DEVELOPMENT_WORLDS, finished_streets, trial
from metabin.experiments.trials import run_trials

LENGTHS = (60, 90, 135, 200, 300, 450, 675, 1000, 1500, 2250)  # each half as many again
METHODS = ("bn", "in")
LEAST_GAIN = 0.01  # of Rank-1
TESTS = ("unseen", "far", "home")


def schedules_report(seeds: int, jobs: int) -> dict:
    """Rank-1 and mAP of BN and IN after schedules of ten lengths, on three development worlds.

    `seeds` changes nothing.
    """
    plan = list(product(METHODS, LENGTHS))
    trials = []
    for (method, length), seed in product(plan, DEVELOPMENT_WORLDS):
        task = finished_streets(seed)
        trials.append(trial(method, task, seed, "finished", iterations=length))
    records = iter(run_trials(trials, jobs))
    curves = {method: {} for method in METHODS}
    for method, length in plan:
        curves[method][str(length)] = _by_test([next(records) for _ in DEVELOPMENT_WORLDS])
    return {
        "worlds": list(DEVELOPMENT_WORLDS),
        "seeds": list(DEVELOPMENT_WORLDS),
        "finished": finished(curves["bn"]),
        "curves": curves,
    }


def _by_test(runs: list[dict]) -> dict:
    tests = {}
    for test in TESTS:
        rates = [run if test == "unseen" else run["also"][test] for run in runs]
        tests[test] = {}
        for metric in ("rank1", "mAP"):
            tests[test][metric] = [rate[metric] for rate in rates]
    return tests


def finished(curve: Mapping[str, Mapping]) -> int | None:
    """The shortest schedule from which on half as many iterations again gain less than a point.

    Of Rank-1 at home, mean over worlds; None where even the longest still gains.
    """
    home = {int(length): mean(tests["home"]["rank1"]) for length, tests in curve.items()}
    enough = None
    for (length, before), (_, after) in reversed(list(pairwise(home.items()))):
        if after - before >= LEAST_GAIN:
            break
        enough = length
    return enough


def schedules_text(report: Mapping) -> str:
    """Rank-1 of every method on unseen, far and home streets, in percent, by iterations."""
    curves = report["curves"]
    rows = []
    for length in map(str, LENGTHS):
        cells = []
        for curve in curves.values():
            rates = [f"{100 * mean(curve[length][test]['rank1']):.0f}" for test in TESTS]
            cells.append(" / ".join(rates))
        rows.append([length, *cells])
    heads = [f"{method}: {' / '.join(TESTS)}" for method in curves]
    table = markdown(["iterations", *heads], rows)
    return f"{table}\n\n{verdict(report)}"


def verdict(report: Mapping) -> str:
    """After how many iterations a training is finished, or how much the longest still gained."""
    if report["finished"]:
        return f"Finished after {report['finished']} iterations."
    home = [mean(tests["home"]["rank1"]) for tests in report["curves"]["bn"].values()]
    before, longest = LENGTHS[-2:]
    gain = f"{100 * (home[-1] - home[-2]):.1f} points"
    return f"Not finished: from {before} to {longest} iterations BN gains {gain} at home."
