"""Finished trainings: their world, their length, and three tests of each."""

from dataclasses import replace
from itertools import pairwise
from statistics import mean

import pytest

from metabin.evaluate.retrieval import METRICS
from metabin.experiments import curves, finished, schedules, tables, tasks, trials, worlds
from metabin.experiments.declarations import FINISHED_EXPERIMENTS, OF_FINISHED_TRAININGS
from metabin.experiments.procedures import chosen_procedures
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.runner import experiment_report, experiment_text, trials_of
from metabin.experiments.tasks import FINISHED_SETTINGS, LIKE, far_streets
from metabin.experiments.trials import NotRun, Task, run_trial
from metabin.experiments.trials import test as run_test
from metabin.networks.model import build_model
from metabin.streets import World


@pytest.fixture(autouse=True)
def known_world(monkeypatch):
    """A world and settings that were chosen, whatever is committed."""
    settings = {"bn": {}, "in": {}, "metabin": {"inner_lr_high": 1.0}}
    chosen = {("worlds",): {"style": 0.5}, ("tuning", "finished"): settings}
    monkeypatch.setattr(tasks, "read_results", lambda *names: {"chosen": chosen[names]})


# ---- one training, three tests -------------------------------------------------------


def test_rows_that_differ_in_their_test_alone_share_a_training():
    names, keys = [], set()
    for task in (tasks.unseen_streets, tasks.supervised, far_streets):
        [trial] = trials_of(Row("BN", "bn", task=task), [1], "finished")
        keys.add(trial.key())
        names.append(tasks.task_and_test(task, 1, "finished")[1])
    assert len(keys) == 1 and names == ["unseen", "home", "far"]
    assert dict(trial.also).keys() == {"far", "home"}


def test_the_further_tests_are_farther_streets_and_other_people_at_home():
    task = tasks.finished_streets(3)
    assert task.world == World(seed=3, style=0.5) and tasks.FAR > task.target_style > 0.5
    far, home = (further for _, further in tasks.further_tests(task))
    assert far == replace(task, target_style=tasks.FAR)
    assert home == replace(task, targets=task.sources, target_style=None)


def test_a_trial_reports_each_of_its_tests():
    task = Task(World(height=32, width=16), (0, 1), (2, 3), train_ids=4, test_ids=4)
    changes = {"size": (32, 16), "ids_per_domain": 2, "images_per_id": 2, "iterations": 2}
    one = tasks.trial("bn", task, 0, "finished", **changes)
    result = run_trial(one)
    alone = run_trial(replace(one, task=replace(one.task, targets=(0, 1)), also=()))
    assert result["also"]["home"]["domains"] == alone["domains"]
    assert list(result["domains"]) == ["street 2", "street 3"]


def test_weights_count_in_a_trials_key_by_what_their_file_holds(tmp_path):
    one = tasks.trial("bn", tasks.finished_streets(0), 0, "finished")
    keys = {one.key(), replace(one, config=replace(one.config, weights="")).key()}
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(tasks.STUDIO_WEIGHTS.read_bytes())
    moved = replace(one, config=replace(one.config, weights=str(copy)))
    assert len(keys) == 2 and moved.key() == one.key()
    copy.write_bytes(b"others")
    assert moved.key() not in keys


def test_the_studios_weights_are_a_networks_own_and_find_people_they_never_saw():
    config = tasks.trial("bn", tasks.finished_streets(0), 0, "finished").config
    model = build_model("bn", 4, config.backbone, config.weights, 0).eval()
    studio = replace(tasks.STUDIO, test_ids=20)
    assert run_test(model, studio.target_set())["rank1"] > 0.9
    random = build_model("bn", 4, config.backbone, None, 0).eval()
    assert run_test(random, studio.target_set())["rank1"] < 0.5


def test_every_row_has_settings_of_its_own_or_of_the_method_most_like_it():
    assert all(experiment.seeds == 10 for experiment in FINISHED_EXPERIMENTS.values())
    for experiment in (FINISHED_EXPERIMENTS | OF_FINISHED_TRAININGS).values():
        for row in experiment.rows:
            assert LIKE.get(row.method, row.method) in FINISHED_SETTINGS
    with pytest.raises(ValueError, match="no phase in profile finished: choose one of worlds"):
        chosen_procedures("phase", "finished")


# ---- what is not run -----------------------------------------------------------------


@pytest.fixture
def half_known(monkeypatch):
    """BN was run, IN wasn't, and other methods have no settings."""
    rates = dict.fromkeys(METRICS, 0.5)
    record = rates | {"train_seconds": 1, "also": {"far": rates, "home": rates}}
    known = {t.key(): record for t in trials_of(tables.BN, (1, 2), "finished")}
    monkeypatch.setattr(trials, "read_records", lambda path: dict(known))


def test_with_no_jobs_a_report_has_the_rows_that_are_known_and_names_the_others(half_known):
    rows = tables.BN, tables.IN, tables.HALF
    experiment = Experiment("a table", rows, claims=(("IN", "BN"),))
    report = experiment_report(experiment, seeds=2, jobs=0, profile="finished")
    assert [row["name"] for row in report["rows"]] == ["BN"] and report["claims"] == []
    assert report["rows"][0]["also"]["home"]["metrics"]["rank1"] == [0.5, 0.5]
    assert report["not_run"] == ["IN", "BN+IN half"]
    assert "Not run: IN; BN+IN half." in experiment_text(report)
    with pytest.raises(NotRun, match="no settings of half .* EXPERIMENT=tuning PROFILE=finished"):
        experiment_report(experiment, seeds=2, jobs=1, profile="finished")


def test_with_no_jobs_a_trial_that_is_needed_and_not_known_is_said(half_known):
    with pytest.raises(NotRun, match="2 of 2 trials were not run: leave --jobs out"):
        trials.run_trials(trials_of(tables.IN, (1, 2), "finished"), jobs=0)


# ---- what is read of a report --------------------------------------------------------


def known_row(method: str, unseen: list[float], far: list[float], home: list[float]) -> dict:
    """A row of a report, as far as it is read here."""
    tests = {}
    for test, rates in {"unseen": unseen, "far": far, "home": home}.items():
        tests[test] = {"metrics": {"rank1": rates, "mAP": rates}}
    return {"name": method.upper(), "method": method, **tests.pop("unseen"), "also": tests}


def test_gains_are_paired_differences_in_points_with_their_interval(monkeypatch):
    rows = [
        known_row("bn", [0.5, 0.3], [0.2, 0.2], [0.9, 0.8]),
        known_row("in", [0.61, 0.43], [0.5, 0.5], [0.8, 0.7]),
    ]
    monkeypatch.setattr(finished, "read_results", lambda *names: {"rows": rows})
    head, _, line = finished.finished_gains(["in"]).splitlines()
    assert head == "| Rank-1 minus BN's | unseen | far | home |"
    # 11 and 13 points: their mean's deviation is 1, and t is 12.706 for one degree of freedom
    assert line == "| IN | +12.0 [-0.7, +24.7] | +30.0 [+30.0, +30.0] | -10.0 [-10.0, -10.0] |"
    assert "| BN | -12.0 [-24.7, +0.7] |" in finished.finished_gains(["bn"], "in")
    with pytest.raises(KeyError):
        finished.finished_gains(["half"])


OTHERS = "bn, colour jitter", "bn, MixStyle", "in", "half", "metabin", "bin, the weights' step"
# Rank-1 of one method minus another's: 1 above zero, 0 undecided
ADVICE = [("metabin", "bin", "far", 1), ("bn, colour jitter", "bin", "far", 0)]
ADVICE += [("bn, colour jitter", "in", "home", 0), ("metabin", "half", "far", 0)]
for _test in ("unseen", "far", "home"):  # a joint BIN is ahead of BN
    ADVICE += [("bin", other, _test, 1) for other in ("bn", "bin, the weights' step")]
ADVICE += [("in", other, "far", 1) for other in ("bn", "bin", *OTHERS) if other != "in"]


@pytest.mark.parametrize(("method", "other", "test", "sign"), ADVICE)
def test_lesson_11_advises_what_the_committed_trainings_say(method, other, test, sign):
    _, low, high = finished.finished_difference(method, other, test)
    assert (low > 0) - (high < 0) == sign


def test_lesson_11_tells_the_committed_numbers():
    gain, rates = finished.finished_difference, finished.finished_metrics
    assert all(gain(method, "bn", "home")[0] < -0.02 for method in OTHERS)
    jitter, joint = (gain(method, "bn")[0] for method in ("bn, colour jitter", "bin"))
    assert jitter / joint == pytest.approx(0.6, abs=0.05)
    assert max(rates(method)["rank1"][0] for method in (*OTHERS, "bin")) < 0.8
    assert mean(rates("bin", "home")["rank1"]) == pytest.approx(0.94, abs=0.005)
    times = finished.read_results("bench")["training"]["rows"][0]
    assert times["iteration_ms"] / times["bn_iteration_ms"] == pytest.approx(2.2, abs=0.2)


# ---- the world -----------------------------------------------------------------------


def candidate(bn: tuple[float, float], in_: tuple[float, float], gain: float) -> dict:
    rows = {}
    longer = bn[0], bn[1] + gain
    for method, (unseen, home) in {"bn": bn, "in": in_, "bn, longer": longer}.items():
        rows[method] = {"unseen": [unseen - 0.1, unseen + 0.1], "home": [home, home]}
    return rows


@pytest.mark.parametrize(
    ("bn", "in_", "gain", "margin"),
    [
        ((0.5, 0.9), (0.7, 0.8), 0.005, 2),  # 20 points of 10, and 10 of 5
        ((0.5, 0.9), (0.6, 0.8), 0, 1),
        ((0.5, 0.9), (0.7, 0.88), 0, 0.4),  # IN's price at home is 2 points of 5
        ((0.7, 0.9), (0.6, 0.8), 0, -1),  # BN does not fail abroad
        ((0.5, 0.9), (0.9, 0.8), 0, 0),  # too easy
        ((0.2, 0.9), (0.4, 0.8), 0, 0),  # too hard
        ((0.5, 0.9), (0.7, 0.8), 0.02, 0),  # BN is still learning
    ],
)
def test_a_candidates_margin_is_its_smaller_difference_or_nothing(bn, in_, gain, margin):
    assert worlds.margin(candidate(bn, in_, gain)) == pytest.approx(margin)


# ---- the length ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home", "enough"),
    [
        ([0.5, 0.7, 0.8, 0.805, 0.806], 450),
        ([0.5, 0.505, 0.7, 0.705, 0.706], 450),  # a halt on the way is no end
        ([0.5, 0.6, 0.7, 0.8, 0.9], None),
        ([0.9, 0.85, 0.85, 0.85, 0.8], 200),
    ],
)
def test_a_schedule_is_finished_where_no_longer_one_gains_a_point_at_home(home, enough):
    lengths = ("200", "300", "450", "675", "1000")
    curve = {}
    for length, rate in zip(lengths, home, strict=True):
        curve[length] = {"home": {"rank1": [rate - 0.1, rate + 0.1]}}
    assert schedules.finished(curve) == enough


def test_each_schedule_is_half_as_long_again_as_the_one_before():
    for shorter, longer in pairwise(schedules.LENGTHS):
        assert longer / shorter == pytest.approx(1.5, abs=0.02)


def test_the_verdict_says_what_the_longest_schedule_still_gains():
    curve = {"1500": {"home": {"rank1": [0.9]}}, "2250": {"home": {"rank1": [0.923]}}}
    report = {"finished": {"here": None}, "curves": {"here": {"bn": curve}}}
    said = "Not finished: from 1500 to 2250 iterations BN gains 2.3 points at home."
    assert schedules.verdict(report, "here") == said
    report["finished"]["here"] = 1000
    assert schedules.verdict(report, "here") == "Finished after 1000 iterations."


def test_a_longer_push_changes_the_top_of_the_inner_steps_range_and_nothing_else():
    configs = [trials_of(row, [1], "finished")[0].config for row in curves.PUSHED]
    ranges = (0.0, 0.0), (0.001, 1.0), (0.001, 10.0), (0.001, 100.0)
    assert [(c.inner_lr_low, c.inner_lr_high) for c in configs] == list(ranges)
    assert len({replace(c, inner_lr_low=0.0, inner_lr_high=0.0) for c in configs}) == 1


def test_a_lessons_network_is_the_trial_of_table_1_in_the_first_world():
    for method in ("bn", "in", "metabin"):
        row = next(row for row in tables.TABLE_1.rows if row.method == method)
        [trial] = trials_of(row, [tasks.FIRST], "finished")
        assert tasks.lesson_trial(method).key() == trial.key()
