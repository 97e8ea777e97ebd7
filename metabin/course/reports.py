"""The experiments' reports as a lesson reads them: a figure, and how each claim came out."""

from collections.abc import Callable, Mapping, Sequence

from IPython import get_ipython
from IPython.display import display

from metabin.course.lesson import figure, record
from metabin.experiments.results import known_results, markdown, paired
from metabin.experiments.runner import difference
from metabin.plotting.claims import draw_claims

ALT = (
    "{}: rows or differences from top to bottom, each with its mean and 95 % interval over worlds."
)
TESTS = ("unseen", "far", "home")  # of a finished training


def state(interval: Sequence[float]) -> str:
    """What (estimate, low, high) says of a claim: "shown", "undecided" or "the other way round"."""
    _, low, high = interval
    if low > 0:
        return "shown"
    return "the other way round" if high < 0 else "undecided"


class Reports:
    """The committed reports of a profile, by the experiments' names in `known`."""

    def __init__(self, profile: str):
        self.profile, self.known = profile, known_results(profile)

    def show(self, name: str, draw: Callable = draw_claims) -> dict | None:
        """Draw a report and show each of its claims; records how many are shown, of how many.

        None, with the command that makes it, where there is none.
        """
        if name not in self.known:
            option = "" if self.profile == "demo" else f" PROFILE={self.profile}"
            print(f"{name}: not run (make tables EXPERIMENT={name}{option})")
            return None
        report = self.known[name]
        figure(draw(report), ALT.format(report["title"]))
        show_claims(report)
        shown = sum(state(claim["rank1"]) == "shown" for claim in report["claims"])
        record(f"{self.profile}_{name}_shown", [shown, len(report["claims"])])
        return report


def show_claims(report: Mapping) -> None:
    """Each claim of a report with its state, and the paper's own difference where it printed one."""
    rows = {row["name"]: row["paper"] for row in report["rows"]}
    lines = []
    for claim in report["claims"]:
        better, worse = rows[claim["better"]], rows[claim["worse"]]
        printed = f"{better[0] - worse[0]:+.1f}" if better and worse else ""
        name, _, points = difference(claim).rpartition(": ")
        lines.append([name, points, state(claim["rank1"]), printed])
    show_table(markdown(["Rank-1", "points, 95 % CI", "", "paper"], lines))


def show_table(table: str) -> None:
    """Show a Markdown table as a table; outside a notebook, print it."""
    if get_ipython() is None:
        print(table)
    else:
        display({"text/markdown": table, "text/plain": table}, raw=True)


def differences(report: Mapping, pairs: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
    """Rank-1 of one row of finished trainings minus another's in each test, by what it says.

    Mean and 95 % CI over worlds. `pairs` are names of rows; those that were not run are left out.
    """
    rows = {row["name"]: {"unseen": row} | row["also"] for row in report["rows"]}
    gaps = {}
    for a, b in pairs:
        for test in TESTS if a in rows and b in rows else ():
            interval = paired(rows[a][test]["metrics"], rows[b][test]["metrics"])["rank1"]
            gaps[f"{a} − {b}, {test}"] = interval
    return gaps
