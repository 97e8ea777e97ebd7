"""Declarations and reports: what is run for a table or figure, and what its numbers say."""

import json
from functools import partial

import pytest
import torch
from scipy import stats

from metabin.config import Config
from metabin.evaluate.retrieval import METRICS
from metabin.experiments import costs, declarations, history, phase, results, runner
from metabin.experiments.command import NAMES, main
from metabin.experiments.procedures import procedures
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.runner import experiment_report, experiment_text, trials_of
from metabin.experiments.tasks import chosen
from metabin.experiments.trials import Task
from metabin.streets import World

EXPERIMENTS = declarations.EXPERIMENTS


def plain(report: dict) -> dict:
    """A report as it comes back from its file."""
    return json.loads(json.dumps(report))


def key_of(row: Row) -> str:
    return trials_of(row, [1])[0].key()


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
            run = trials_of(row, [1], profile)[0]
            assert run.config.size == (run.task.world.height, run.task.world.width)
            backbone = row.changes.get("backbone", run.config.backbone)
            assert run.config.backbone == backbone


def test_rows_that_tables_share_are_run_once():
    table1, table4 = ({key_of(row) for row in EXPERIMENTS[n].rows} for n in ("table1", "table4"))
    assert len(table1 & table4) == 3  # BN, BIN with two pairs, MetaBIN
    period, weight = EXPERIMENTS["figure8"].rows[1], EXPERIMENTS["figure6"].rows[2]
    assert {key_of(period), key_of(weight)} <= table1


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
    """Sets what every trial's Rank-1 is; returns the list of the worlds that were asked for."""
    worlds = []

    def run_trials(rank1_of, trials, jobs):
        worlds.extend(trial.task.world.seed for trial in trials)
        return [record_of(trial, rank1_of(trial)) for trial in trials]

    def set_known(rank1_of):
        for module in (runner, phase):
            monkeypatch.setattr(module, "run_trials", partial(run_trials, rank1_of))
        return worlds

    return set_known


def by_method(**rank1):
    return lambda trial: rank1[trial.method]


def test_a_report_tells_each_row_and_whether_the_claims_hold(known):
    known(by_method(bn=0.3, **{"in": 0.5}, metabin=0.4))
    rows = Row("BN", "bn"), Row("IN", "in"), Row("MetaBIN", "metabin", paper=(64.7, 72.3))
    claims = ("IN", "BN"), ("MetaBIN", "IN"), ("MetaBIN", "BN")
    experiment = Experiment("T", rows, claims, keeps_rho=True)
    report = plain(experiment_report(experiment, seeds=3, jobs=1))
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
    worlds = known(by_method(bn=0.5))
    experiment = Experiment("T", (Row("BN", "bn"),), claims=(), first=6)
    assert experiment_report(experiment, seeds=3, jobs=1)["worlds"] == worlds == [6, 7, 8]


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ((1, 2, 4), "partly: mean rho falls in 1 of 2 steps: 0.91, 0.61, 0.61"),
        ((1, 2), "yes: mean rho falls in 1 of 1 steps: 0.91, 0.61"),
    ],
)
def test_figure_9_says_whether_rho_falls_with_every_larger_step(known, steps, verdict):
    known(by_method(metabin=0.5))
    assert chosen("metabin")["outer_lr"] == 5
    rows = tuple(Row(f"x {step}", "metabin", outer=step, at=step) for step in steps)
    kept = Experiment("T", rows, claims=(), axis="outer step", keeps_rho=True)
    assert experiment_report(kept, seeds=3, jobs=1)["verdict"] == verdict


def test_figure_2_tells_the_memory_of_a_meta_step_beside_its_accuracy(known, monkeypatch):
    def few_people(seed):
        return Task(World(seed=seed), train_ids=8)

    known(by_method(metabin=0.4))
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
    report = plain(costs.table6_report(seeds=3, jobs=1))
    assert report["verdict"].startswith("partly: specification equal in 6 of 7 architectures")
    line = "| resnet50 | 53 | 26560 | 23.56M | 53, 26560, 23.56M | 1 | 1.00 | 20 | 3.00 | 2.63 |"
    assert line in costs.table6_text(report)
    known(by_method(metabin=0.4))
    report = plain(costs.table6_report(seeds=3, jobs=1, profile="gpu"))
    assert report["verdict"].startswith("no: 0 of 3 differences")
    assert "| resnet50 | 42.0 ± 1.0 | 42.0 ± 1.0 |  | 66.0 | 73.6 |" in costs.table6_text(report)


def test_what_the_paper_saw_over_training_is_judged_by_its_own_words():
    """Fig. 7: scatter and shuffle rise, triplet falls. Fig. 11: rho drops and rebounds."""
    rise, fall = [0.0, *[1.0] * 29], [1.0, *[0.0] * 29]
    up, down, mixed = [rise] * 3, [fall] * 3, [rise, fall, rise]

    def judged(*curves):
        named = dict(zip(("scatter", "shuffle", "triplet"), curves, strict=True))
        records = []
        for seed in range(3):
            losses = {f"meta_train/{name}": curve[seed] for name, curve in named.items()}
            records.append({"losses": losses})
        return history.beginning(records)

    assert judged(up, up, down).startswith("yes") and judged(down, down, up).startswith("no")
    assert judged(up, mixed, down).startswith("partly")
    assert judged(up, mixed, down).endswith("shown of scatter, triplet")
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
    report = plain(phase.phase_report(2, 1))
    assert [(c["style"], c["colour"]) for c in report["cells"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [c["winner"] for c in report["cells"]] == ["bn", "bn", "in", "in"]
    assert report["cells"][2]["methods"]["in"]["rank1"] == pytest.approx([0.61, 0.62])
    assert "| 1.0 | 0.0 | 51.5 | 61.5 | 41.5 | in | 10.0 |" in phase.phase_text(report)


@pytest.mark.parametrize(("bn", "decided"), [((0.5, 0.52), True), ((0.4, 0.6), False)])
def test_a_lead_within_the_seeds_spread_decides_nothing(bn, decided):
    rates = {"bn": list(bn), "in": [0.1, 0.1], "half": [0.4, 0.4]}
    winner = phase.phase_winner({method: {"rank1": seeds} for method, seeds in rates.items()})
    assert (winner["winner"], winner["second"], winner["decided"]) == ("bn", "half", decided)


# ---- results -------------------------------------------------------------------------


def test_missing_results_name_the_command_that_makes_them(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="make tables EXPERIMENT=table1"):
        results.read_results("table1")


def test_one_world_is_too_few(capsys):
    with pytest.raises(SystemExit):
        main(["--experiment", "table1", "--seeds", "1"])
    assert "an interval needs at least 2" in capsys.readouterr().err


def test_reports_that_are_there_are_known_by_experiment_and_profile(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    for name, profile in {"table3": "demo", "table3-gpu": "gpu", "table1": "demo"}.items():
        report = {"profile": profile, "claims": [], "rows": []}
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    (tmp_path / "bench.json").write_text('{"verdict": "fast"}')  # without rows and claims
    assert set(results.known_results()) == {"table1", "table3"}
    assert results.known_results("gpu") == {"table3": {"profile": "gpu", "claims": [], "rows": []}}


def test_all_rows_of_a_report_can_be_compared_with_any_of_them():
    rates = {"BN": [0.2, 0.4], "IN": [0.5, 0.6], "BIN": [0.6, 0.9]}
    rows = [{"name": name, "metrics": {"rank1": r, "mAP": r}} for name, r in rates.items()]
    report = {"title": "T", "rows": rows, "claims": []}
    claims = results.compared(report, "IN")["claims"]
    assert [(c["better"], round(c["rank1"][0], 9)) for c in claims] == [("BN", -0.25), ("BIN", 0.2)]
    assert [c["better"] for c in results.compared(report, "BN", ["BIN"])["claims"]] == ["BIN"]
    with pytest.raises(ValueError, match="no row 'Half': choose one of BN, IN, BIN"):
        results.compared(report, "Half")


@pytest.mark.parametrize(
    ("spread", "difference", "power"), [(2.0, 5.0, 0.8), (1.0, 1.0, 0.8), (2.0, 1.0, 0.5)]
)
def test_with_as_many_worlds_as_needed_a_difference_is_seen_as_often_as_wanted(
    spread, difference, power
):
    generator = torch.Generator().manual_seed(0)

    def seen(worlds: int) -> float:
        noise = torch.randn(20_000, worlds, generator=generator, dtype=torch.float64)
        draws = difference + spread * noise
        half = stats.t.ppf(0.975, worlds - 1) * draws.std(1) / worlds**0.5
        return (draws.mean(1) > half).double().mean().item()

    needed = results.worlds_needed(spread, difference, power)
    assert seen(needed) > power - 0.01 and seen(needed - 1) < power + 0.01
    with pytest.raises(ValueError, match="above zero"):
        results.worlds_needed(spread, 0.0)
