"""Declarations and reports: what is run for a table or figure, and what its numbers say."""

import json

import pytest
import torch

from metabin.config import Config
from metabin.evaluate.retrieval import METRICS
from metabin.experiments import costs, declarations, history, phase, runner
from metabin.experiments.command import NAMES, main
from metabin.experiments.procedures import procedures
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.runner import experiment_report, experiment_text, trials_of
from metabin.experiments.tasks import chosen
from metabin.experiments.trials import Task
from metabin.streets import World

EXPERIMENTS = declarations.EXPERIMENTS


def test_all_experiments_have_a_name_a_text_and_a_drawing():
    from metabin import plotting

    assert tuple(procedures()) == NAMES
    for name, procedure in procedures().items():
        assert callable(procedure.text) and procedure.seeds >= 2
        assert hasattr(plotting, procedure.draw) or name in ("tuning", "worlds", "table6")


def test_what_the_paper_claims_is_said_of_rows_that_are_there():
    for name, experiment in EXPERIMENTS.items():
        rows = [row.name for row in experiment.rows]
        assert len(set(rows)) == len(rows), name
        assert {row for claim in experiment.claims for row in claim} <= set(rows)
        assert all(len(row.paper) in (0, 2) for row in experiment.rows)


@pytest.mark.parametrize("profile", ["demo", "gpu"])
def test_every_row_is_a_valid_configuration(profile):
    for experiment in EXPERIMENTS.values():
        for row in experiment.rows:
            [run] = trials_of(row, [1], profile)
            assert run.config.size == (run.task.world.height, run.task.world.width)
            assert run.config.backbone == row.changes.get("backbone", run.config.backbone)


def test_rows_that_tables_share_are_run_once():
    keys = {}
    for name in ("table1", "table4", "figure6", "figure8"):
        keys[name] = [trials_of(row, [1])[0].key() for row in EXPERIMENTS[name].rows]
    assert len({*keys["table1"]} & {*keys["table4"]}) == 3  # BN, BIN with two pairs, MetaBIN
    period, weight = keys["figure8"][1], keys["figure6"][2]
    assert {period, weight} <= {*keys["table1"]}


def test_a_fixed_inner_step_and_a_scaled_outer_one_are_relative_to_what_was_chosen():
    tuned = chosen("metabin")
    found = runner.settings(Row("x", "metabin", inner=0.5, outer=4), "demo")
    assert found["inner_lr_low"] == found["inner_lr_high"] == 0.5 * tuned["inner_lr_high"]
    assert found["outer_lr"] == 4 * tuned["outer_lr"]
    fixed = dict.fromkeys(("inner_lr_low", "inner_lr_high"), Config.inner_lr_high)
    assert runner.settings(Row("x", "bn_mldg", inner=1), "gpu") == fixed


# ---- reports -------------------------------------------------------------------------


def record_of(trial, rank1: float) -> dict:
    """Instead of training: a Rank-1 that is a little better with every seed, and for MetaBIN rho."""
    record = dict.fromkeys(METRICS, rank1 + 0.01 * trial.config.seed) | {"train_seconds": 1}
    if trial.method == "metabin":
        value = {1.0: 0.9, 2.0: 0.6, 4.0: 0.6}.get(trial.config.outer_lr / 5, 0.5)
        mean = [[value + 0.005 * trial.config.seed] * 4]
        shares = [[0.5, *[0.0] * 8, 0.5]]
        record["rho"] = {"layers": ["a"], "summary": [mean], "shares": shares}
    return record


@pytest.fixture
def known(monkeypatch):
    """Sets what every trial's Rank-1 is, by its method or by a function of it."""

    def set_known(rank1_of=None, **by_method):
        def run_trials(trials, jobs):
            rate = rank1_of or (lambda trial: by_method[trial.method])
            return [record_of(trial, rate(trial)) for trial in trials]

        monkeypatch.setattr(runner, "run_trials", run_trials)

    return set_known


def test_a_report_tells_each_row_and_whether_the_claims_hold(known):
    known(bn=0.3, **{"in": 0.5}, metabin=0.4)
    rows = Row("BN", "bn"), Row("IN", "in"), Row("MetaBIN", "metabin", paper=(64.7, 72.3))
    claims = ("IN", "BN"), ("MetaBIN", "IN"), ("MetaBIN", "BN")
    experiment = Experiment("T", rows, claims, keeps_rho=True)
    report = json.loads(json.dumps(experiment_report(experiment, seeds=3, jobs=1)))
    rank1 = {row["name"]: row["metrics"]["rank1"] for row in report["rows"]}
    assert rank1["IN"] == pytest.approx([0.51, 0.52, 0.53])
    assert report["rows"][2]["rho"] == [[0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]]
    assert report["worlds"] == report["seeds"] == [1, 2, 3]
    differences = [claim["rank1"][0] for claim in report["claims"]]
    assert differences == pytest.approx([0.2, -0.1, 0.1])
    told = "partly: 2 of 3 differences, 1 the other way round. IN − BN: +20.0 [+20.0, "
    assert report["verdict"].startswith(told)
    assert "| MetaBIN | 42.0 ± 1.0 | 42.0 ± 1.0 |  | 64.7 | 72.3 |" in experiment_text(report)


def test_an_experiments_worlds_begin_where_it_says(known):
    known(lambda trial: trial.task.world.seed)
    report = experiment_report(Experiment("T", (Row("BN", "bn"),), claims=(), first=6), 3, 1)
    rank1 = report["rows"][0]["metrics"]["rank1"]
    assert report["worlds"] == [round(rate) for rate in rank1] == [6, 7, 8]


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ((1, 2, 4), "partly: mean rho falls in 1 of 2 steps: 0.91, 0.61, 0.61"),
        ((1, 2), "yes: mean rho falls in 1 of 1 steps: 0.91, 0.61"),
    ],
)
def test_figure_9_says_whether_rho_falls_with_every_larger_step(known, steps, verdict):
    known(metabin=0.5)
    assert chosen("metabin")["outer_lr"] == 5
    rows = tuple(Row(f"x {step}", "metabin", outer=step, at=step) for step in steps)
    kept = Experiment("T", rows, claims=(), axis="outer step", keeps_rho=True)
    assert experiment_report(kept, seeds=3, jobs=1)["verdict"] == verdict


def test_figure_2_tells_the_memory_of_a_meta_step_beside_its_accuracy(known, monkeypatch):
    def few_people(seed):
        return Task(World(seed=seed), train_ids=8)

    known(metabin=0.4)
    rows = []
    for people in (2, 8):
        changes = {"meta_ids_per_domain": people}
        rows.append(Row(f"{4 * people} images", "metabin", changes, task=few_people))
    monkeypatch.setattr(costs, "FIGURE_2", Experiment("Fig. 2", tuple(rows), claims=()))
    report = costs.figure2_report(seeds=2, jobs=1)
    few, many = report["rows"]
    assert few["base_mib"] == many["base_mib"] > few["meta_mib"]
    assert many["meta_mib"] == pytest.approx(4 * few["meta_mib"], rel=0.05)
    assert f"- 8 images: {few['meta_mib']:.0f} MiB" in costs.figure2_text(report)


def fake_cost(name, device, rounds):
    """The printed specification, except that a ResNet-18 has one norm layer too many."""
    norms, rho, millions, *_ = costs.PRINTED[name]
    cost = {"backbone": name, "norms": norms + (name == "resnet18"), "rho": rho, "images": 2}
    cost |= {"parameters": 1e6 * millions, "bn_step_ms": 1, "bin_over_bn": 1, "bn_kept_mib": 10}
    return cost | {"kept_over_bn": 2, "bin_ms_per_image": 3}


def test_table_6_compares_the_specification_and_leaves_accuracy_to_a_gpu(known, monkeypatch):
    monkeypatch.setattr(costs, "backbone_cost", fake_cost)
    report = costs.table6_report(seeds=3, jobs=1)
    assert report["verdict"].startswith("partly: specification equal in 6 of 7 architectures")
    line = "| resnet50 | 53 | 26560 | 23.56M | 53, 26560, 23.56M | 1 | 1.00 | 20 | 3.00 | 2.63 |"
    assert line in costs.table6_text(report)
    known(metabin=0.4)
    report = costs.table6_report(seeds=3, jobs=1, profile="gpu")
    assert report["verdict"].startswith("no: 0 of 3 differences")
    assert "| resnet50 | 42.0 ± 1.0 | 42.0 ± 1.0 |  | 66.0 | 73.6 |" in costs.table6_text(report)


RISE, FALL = [0.0, *[1.0] * 29], [1.0, *[0.0] * 29]
UP, DOWN, MIXED = [RISE] * 3, [FALL] * 3, [RISE, FALL, RISE]  # in three seeds


@pytest.mark.parametrize(
    ("curves", "state", "shown"),
    [
        ((UP, UP, DOWN), "yes", "scatter, shuffle, triplet"),
        ((DOWN, DOWN, UP), "no", "none"),
        ((UP, MIXED, DOWN), "partly", "scatter, triplet"),
    ],
)
def test_figure_7_says_which_losses_rise_and_fall_as_in_the_paper(curves, state, shown):
    records = [{"losses": {}} for _ in range(3)]
    for name, seeds in zip(("scatter", "shuffle", "triplet"), curves, strict=True):
        for record, curve in zip(records, seeds, strict=True):
            record["losses"][f"meta_train/{name}"] = curve
    verdict = history.beginning(records)
    assert verdict.startswith(state) and verdict.endswith(f"shown of {shown}")


def test_figure_11_says_in_which_layers_rho_drops_and_rebounds():
    moments = [[1.0, 1.0], [0.4, 0.6], [0.6, 0.5]]  # the first layer comes back
    means = torch.tensor([moments] * 3)  # (seeds, moments, layers)
    means += 0.01 * torch.rand(means.shape, generator=torch.Generator().manual_seed(0))
    assert "comes back in layer 1 of 2" in history.rebounds(means)
    assert history.rebounds(means[:, :, 1:]).startswith("no")


# ---- the phase diagram ---------------------------------------------------------------


def test_a_phase_task_moves_identity_from_shape_into_colour():
    task = phase.phase_task(1.5, 0.33, 7)
    assert (task.world.seed, task.world.style) == (7, 1.5)
    assert task.world.colour_identity + task.world.shape_identity == pytest.approx(1)
    assert not set(task.sources) & set(task.targets)


def test_the_phase_diagram_runs_every_method_in_every_world(known, monkeypatch):
    grid = {"styles": (0.0, 1.0), "colours": (0.0, 1.0), "iterations": 5}
    monkeypatch.setattr(phase, "PHASE", phase.PHASE | grid)

    def rank1(trial):
        assert trial.config.iterations == 5 and trial.config.norm == trial.method
        gain = 0.3 * trial.task.world.style if trial.method == "in" else 0
        return {"bn": 0.5, "in": 0.3, "half": 0.4}[trial.method] + gain

    known(rank1)
    report = phase.phase_report(2, 1)
    assert [(c["style"], c["colour"]) for c in report["cells"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [c["winner"] for c in report["cells"]] == ["bn", "bn", "in", "in"]
    assert report["cells"][2]["methods"]["in"]["rank1"] == pytest.approx([0.61, 0.62])
    assert "| 1.0 | 0.0 | 51.5 | 61.5 | 41.5 | in | 10.0 |" in phase.phase_text(report)


@pytest.mark.parametrize(("bn", "decided"), [((0.5, 0.52), True), ((0.4, 0.6), False)])
def test_a_lead_within_the_seeds_spread_decides_nothing(bn, decided):
    rates = {"bn": list(bn), "in": [0.1, 0.1], "half": [0.4, 0.4]}
    winner = phase.phase_winner({method: {"rank1": seeds} for method, seeds in rates.items()})
    assert (winner["winner"], winner["second"], winner["decided"]) == ("bn", "half", decided)


def test_one_world_is_too_few(capsys):
    with pytest.raises(SystemExit):
        main(["--experiment", "table1", "--seeds", "1"])
    assert "an interval needs at least 2" in capsys.readouterr().err
