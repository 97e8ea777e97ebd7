"""The committed numbers: do they follow from the runs, and do the pages tell them as they are?"""

from itertools import combinations, pairwise
from statistics import mean

import pytest

from metabin.course.reports import differences
from metabin.experiments import phase
from metabin.experiments.question import plan_verdict
from metabin.experiments.results import RESULTS, known_results, paired, read_results
from metabin.experiments.runner import experiment_text, falling, verdict
from metabin.experiments.schedules import schedules_text
from metabin.experiments.tasks import FINISHED, FINISHED_SETTINGS, SPINE, TUNED
from metabin.experiments.worlds import margin, worlds_text
from metabin.runs.provenance import ROOT

PAGE = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
TUNED_START = "the studio's weights, as tuned"
LESSON_10 = (ROOT / "notebooks" / "10_ablations.ipynb").read_text(encoding="utf-8")


def in_points(interval) -> str:
    middle, low, high = (f"{100 * x:+.1f}".replace("-", "−") for x in interval)
    return f"{middle}, 95 % CI [{low}, {high}]"


def test_the_chosen_settings_are_the_best_of_those_tried():
    tuning = read_results("tuning")
    assert tuning["chosen"].keys() == TUNED.keys()
    for method, setting in tuning["chosen"].items():
        tried = [row for row in tuning["tuning"] if row["method"] == method]
        assert [row["setting"] for row in tried] == TUNED[method]
        assert max(tried, key=lambda row: mean(row["mAP"]))["setting"] == setting


def test_the_phase_diagrams_winners_follow_from_its_runs():
    report = read_results("phase")
    assert len(report["cells"]) == len(report["styles"]) * len(report["colours"])
    for cell in report["cells"]:
        winner = phase.phase_winner(cell["methods"])
        assert {name: cell[name] for name in winner} == winner


# ---- what the page of results says ---------------------------------------------------


STEP = ("source statistics, no inner step: unseen streets", "no inner step: unseen streets")


@pytest.mark.parametrize(
    ("experiment", "better", "worse"),
    [
        ("table1", "MetaBIN", "Switchable (BN+IN) [27]"),
        ("table1", "MetaBIN", "BIN, two affine pairs"),
        ("table3", "MetaBIN", "no inner step"),
        ("table3", "MetaBIN", "rho at random"),
        ("table5", "MetaBIN, own streets", "BN, own streets"),
        ("second_look", STEP[0], "joint BIN: unseen streets"),
        ("second_look", "MetaBIN: unseen streets", "joint BIN: unseen streets"),
        ("second_look", *STEP),
    ],
)
def test_the_page_tells_the_committed_differences(experiment, better, worse):
    rows = {row["name"]: row["metrics"] for row in read_results(experiment)["rows"]}
    assert in_points(paired(rows[better], rows[worse])["rank1"]) in PAGE


def test_the_page_tells_where_rho_ends_with_every_outer_step():
    rows = read_results("figure9")["rows"]
    means = [mean(row["rho_mean"]) for row in rows]
    assert all(a > b for a, b in pairwise(means))
    assert [row["at"] for row in rows] == [0.04, 0.2, 1, 5]
    first, second, third, last = (f"{value:.2f}" for value in means)
    assert f"{first}, {second}, {third} and {last} for 0.04, 0.2, 1 and 5 times" in PAGE


def test_what_no_interval_shows_is_not_told_as_shown():
    """The page's "all hold zero", and its "none of twelve lies above zero"."""
    parts = {
        "table3": {"tri + scat, fixed", "tri + shuf, fixed", "tri + scat + shuf, fixed"},
        "table4": {"MetaBIN in one episode"},
    }
    for experiment, names in parts.items():
        claims = read_results(experiment)["claims"]
        about = [c["rank1"] for c in claims if {c["better"], c["worse"]} & names]
        assert about and all(low <= 0 <= high for _, low, high in about)
    question = [claim["rank1"][1] for claim in read_results("question")["claims"]]
    assert len(question) == 12 and max(question) <= 0


def test_the_page_shows_the_search_for_a_world_and_the_schedules():
    assert worlds_text(read_results("worlds")) in PAGE
    assert schedules_text(read_results("schedules")) in PAGE


def test_the_world_is_the_one_that_the_rule_chooses():
    report = read_results("worlds")
    margins = [margin(row) for row in report["candidates"]]
    assert report["candidates"][margins.index(max(margins))]["world"] == report["chosen"]
    assert max(margins) >= 1


# ---- finished trainings --------------------------------------------------------------


JOINT, PAPERS_JOINT = "BIN, two affine pairs", "BIN, the weights' step size"


@pytest.mark.parametrize(
    ("better", "worse", "signs"),  # on unseen streets, far streets, at home; 0: undecided
    [
        ("IN", "BN", (1, 1, -1)),
        (JOINT, "BN", (1, 1, 1)),
        ("MetaBIN", JOINT, (0, 1, -1)),
        ("MetaBIN", "IN", (-1, -1, 1)),
        ("MetaBIN", PAPERS_JOINT, (1, 1, 0)),
        (JOINT, PAPERS_JOINT, (1, 1, 1)),
        ("MetaBIN", "BN+IN half", (0, 0, 0)),
        ("BN, colour jitter", "BN", (1, 1, -1)),
        ("BN, MixStyle", "BN", (1, 1, -1)),
        ("Switchable (BN+IN) [27]", JOINT, (1, 1, 0)),
        ("Switchable (BN+IN) [27]", "IN", (0, -1, 1)),
        ("MetaBIN", "Switchable (BN+IN) [27]", (-1, -1, -1)),
        ("MetaBIN", "DualNorm [17]", (0, 0, -1)),
        ("IBN-Net [31]", "BN", (1, 1, 1)),
    ],
)
def test_the_page_tells_what_finished_trainings_show(better, worse, signs):
    rows = {row["name"]: row for row in read_results("table1", "finished")["rows"]}
    for test, sign in zip(("unseen", "far", "home"), signs, strict=True):
        a, b = (rows[name]["also"].get(test, rows[name])["metrics"] for name in (better, worse))
        middle, low, high = paired(a, b)["rank1"]
        assert in_points((middle, low, high)) in PAGE
        assert (low > 0) - (high < 0) == sign


def test_the_page_tells_what_the_parts_of_the_meta_step_add():
    report = read_results("table3", "finished")
    pairs = [
        ("tri + scat + shuf, fixed", "tri, fixed"),
        ("MetaBIN", "tri + scat + shuf, fixed"),
        ("tri, fixed", "CE, fixed"),
        ("CE, fixed", "BN"),
    ]
    gaps = differences(report, pairs)
    abroad = [gaps[f"{better} − {worse}, unseen"] for better, worse in pairs]
    assert all(in_points(gap) in PAGE for gap in abroad)
    assert all(low <= 0 <= high for _, low, high in abroad[:3])
    controls = differences(report, [("MetaBIN", "rho at random"), ("MetaBIN", "no inner step")])
    walk = list(controls.values())[:3]
    assert all(in_points(gap) in PAGE for gap in walk)
    assert walk[2][1] > 0, "at home the direction matters"
    shown = [name for name, (_, low, high) in controls.items() if not low <= 0 <= high]
    assert shown == ["MetaBIN − rho at random, home"]
    assert f"by {100 * walk[2][0]:.1f} points, 95 % CI [{100 * walk[2][1]:.1f}, " in LESSON_10
    rho = {row["name"]: mean(row["rho_mean"]) for row in report["rows"] if "rho_mean" in row}
    ends = f"its mean ends at {rho['rho at random']:.2f}"
    assert f"{ends})" in PAGE and f"({ends}, MetaBIN's at {rho['MetaBIN']:.2f})" in LESSON_10


def test_no_length_of_the_push_is_told_from_another_but_all_are_from_the_joint_bin():
    report = read_results("push")
    lengths = ("no push", "push up to 1", "push up to 10", "push up to 100")
    for gap in differences(report, list(combinations(lengths, 2))).values():
        assert gap[1] <= 0 <= gap[2]
    without = differences(report, [("no push", JOINT)])
    assert all(in_points(gap) in PAGE for gap in without.values())
    _, far, home = without.values()
    assert far[1] > 0 > home[2]
    for value in (*far, *(-end for end in home)):
        assert f"{100 * value:.1f}" in LESSON_10


def test_the_page_shows_the_finished_table_and_where_rho_ends():
    report = read_results("table1", "finished")
    for line in experiment_text(report).splitlines():
        assert not line.startswith("|") or line in PAGE
    rho = {row["method"]: mean(row["rho_mean"]) for row in report["rows"] if "rho_mean" in row}
    assert f"mean ρ {rho['metabin']:.2f}, joint BIN {rho['bin']:.2f}" in PAGE
    assert f"ends at {rho['metabin']:.2f}, the joint BIN's at {rho['bin']:.2f}" in LESSON_10
    assert plan_verdict(read_results("question", "finished")) == {"MetaBIN": "undecided"}


def test_finished_settings_are_the_best_of_those_tried():
    tuning = read_results("tuning", "finished")
    for method, setting in tuning["chosen"].items():
        tried = [row for row in tuning["tuning"] if row["method"] == method]
        assert [row["setting"] for row in tried] == FINISHED_SETTINGS[method]
        assert max(tried, key=lambda row: mean(row["mAP"]))["setting"] == setting


def test_the_page_tells_how_long_is_long_enough():
    report = read_results("schedules")
    finished = report["finished"]
    assert finished["the studio's weights"] <= FINISHED["iterations"]
    assert finished["random weights"] is None
    assert finished[TUNED_START] > FINISHED["iterations"]
    gains = []
    for method in ("bn", "in", "metabin"):
        before, after = (rate_of(report, method, length) for length in ("300", "450"))
        gains.append(f"{100 * (after - before):.1f}")
    told = f"BN gains {gains[0]} points at home, IN {gains[1]} and MetaBIN {gains[2]}"
    assert told in PAGE


def rate_of(report: dict, method: str, length: str, test: str = "home") -> float:
    return mean(report["curves"][TUNED_START][method][length][test]["rank1"])


@pytest.mark.parametrize("length", ["300", "450", "675"])
def test_longer_trainings_leave_the_methods_order_as_the_page_tells_it(length):
    report = read_results("schedules")
    for test in ("unseen", "far"):
        rates = {method: rate_of(report, method, length, test) for method in SPINE}
        mixtures = [rates[method] for method in ("half", "bin", "metabin")]
        assert rates["in"] > max(mixtures) and min(mixtures) > rates["bn"]
    rates = {method: rate_of(report, method, length) for method in SPINE}
    assert min(rates["bn"], rates["bin"]) > max(rates["half"], rates["metabin"])
    assert min(rates["half"], rates["metabin"]) > rates["in"]


@pytest.mark.parametrize(("length", "sign"), [("135", -1), ("300", 1)])
def test_the_page_tells_who_is_ahead_at_home_from_random_weights(length, sign):
    curves = read_results("schedules")["curves"]["random weights"]
    bn, in_ = (curves[method][length]["home"] for method in ("bn", "in"))
    middle, low, high = paired(bn, in_)["rank1"]
    assert in_points((middle, low, high)) in PAGE
    assert (low > 0) - (high < 0) == sign


@pytest.mark.parametrize("mixture", ["BN+IN half", JOINT, "MetaBIN"])
def test_abroad_every_finished_mixture_is_behind_in(mixture):
    rows = {row["name"]: row for row in read_results("table1", "finished")["rows"]}
    for test in ("unseen", "far"):
        a, b = (rows[name]["also"].get(test, rows[name])["metrics"] for name in (mixture, "IN"))
        assert paired(a, b)["rank1"][2] < 0


def test_bn_is_behind_in_abroad_in_every_world_after_every_schedule():
    for curves in read_results("schedules")["curves"].values():
        for length, tests in curves["bn"].items():
            for test in ("unseen", "far"):
                ahead = curves["in"][length][test]["rank1"]
                assert all(a > b for a, b in zip(ahead, tests[test]["rank1"], strict=True))


def numbers_of(report: dict) -> list[list[float]]:
    """Every row's Rank-1, a number for each world."""
    if "rows" in report:
        return [row["metrics"]["rank1"] for row in report["rows"]]
    rows = []
    for cell in report.get("cells", []):
        rows += [rates["rank1"] for rates in cell["methods"].values()]
    return rows


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_report_carries_its_worlds_and_seeds(path):
    if path.stem == "bench":
        pytest.skip("it measures speed, which has no worlds")
    report = read_results(path.stem)
    assert report["worlds"] == report["seeds"] and max(report["worlds"], default=0) < 2000
    for rank1 in numbers_of(report):
        assert len(rank1) == len(report["worlds"])


@pytest.mark.parametrize("name", known_results())
def test_a_committed_verdict_is_that_of_its_rule(name):
    report = read_results(name)
    follows_rho = report["axis"] and "rho" in report["rows"][0]
    expected = falling(report["rows"]) if follows_rho else verdict(report["claims"])
    assert report["verdict"] == expected
