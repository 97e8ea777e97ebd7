"""How long is long enough: the same trainings, from far too short to longer than needed."""

from collections.abc import Mapping
from itertools import pairwise, product
from statistics import mean

from metabin.experiments.results import markdown, rates_of
from metabin.experiments.runner import run_groups
from metabin.experiments.tasks import DEVELOPMENT_WORLDS, SPINE, chosen
from metabin.experiments.worlds import LEAST_GAIN, development_trials

LENGTHS = (40, 60, 90, 135, 200, 300, 450, 675)  # each half as long again
FROM_NOTHING = {"weights": "", "lr": 0.1, "weight_decay": 5e-3}  # larger steps suit it
STARTS = {  # name -> changed settings, methods, lengths; None: each method's chosen settings
    "random weights": (FROM_NOTHING, ("bn", "in"), (60, 135, 300, 675)),
    "the studio's weights": ({}, ("bn", "in"), LENGTHS),
    "the studio's weights, as tuned": (None, SPINE, (135, 300, 450, 675)),
}
TESTS = ("unseen", "far", "home")


def schedules_report(seeds: int, jobs: int) -> dict:
    """Rank-1 and mAP after schedules of many lengths; `seeds` changes nothing."""
    groups, curves = {}, {}
    for start, (changes, methods, lengths) in STARTS.items():
        curves[start] = {method: {} for method in methods}
        for method, length in product(methods, lengths):
            options = chosen(method, "finished") if changes is None else changes
            options = options | {"iterations": length}
            groups[start, method, length] = development_trials(method, **options)
    for (start, method, length), runs in run_groups(groups, jobs).items():
        curves[start][method][str(length)] = _by_test(runs)
    return {
        "worlds": list(DEVELOPMENT_WORLDS),
        "seeds": list(DEVELOPMENT_WORLDS),
        "finished": {start: finished(curve["bn"]) for start, curve in curves.items()},
        "curves": curves,
    }


def _by_test(runs: list[dict]) -> dict:
    tests = {}
    for test in TESTS:
        rates = rates_of([run["also"].get(test, run) for run in runs])
        tests[test] = {metric: rates[metric] for metric in ("rank1", "mAP")}
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
    sections = []
    for start, curves in report["curves"].items():
        rows = []
        for length in curves["bn"]:
            cells = []
            for curve in curves.values():
                rates = [f"{100 * mean(curve[length][test]['rank1']):.0f}" for test in TESTS]
                cells.append(" / ".join(rates))
            rows.append([length, *cells])
        heads = [f"{method}: {' / '.join(TESTS)}" for method in curves]
        table = markdown(["iterations", *heads], rows)
        sections.append(f"From {start}:\n\n{table}\n\n{verdict(report, start)}")
    return "\n\n".join(sections)


def verdict(report: Mapping, start: str) -> str:
    """After how many iterations a training is finished, or how much the longest still gained."""
    if report["finished"][start]:
        return f"Finished after {report['finished'][start]} iterations."
    curve = report["curves"][start]["bn"]
    before, longest = list(curve)[-2:]
    home = [mean(curve[length]["home"]["rank1"]) for length in (before, longest)]
    gain = f"{100 * (home[1] - home[0]):.1f} points"
    return f"Not finished: from {before} to {longest} iterations BN gains {gain} at home."
