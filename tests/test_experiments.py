"""Trials, tables, and the committed numbers of the spine: do they follow from the runs, and do the claims hold?"""

import json
from dataclasses import replace
from statistics import mean

import pytest
import torch
from metabin.experiments.command import main, studies
from scipy import stats

from metabin.config import METHODS, Config, demo
from metabin.experiments import (
    EXPERIMENTS,
    SPINE,
    Experiment,
    Row,
    architectures,
    chosen,
    development,
    far_streets,
    history,
    memory,
    phase_text,
    read_results,
    results,
    runner,
    same_streets,
    single_street,
    spine_table,
    supervised,
    text,
    trial,
    trials,
)
from metabin.experiments import phase as phases
from metabin.experiments.tasks import DEVELOPMENT, LIKE, SETTINGS
from metabin.experiments.trials import METRICS, Task, Trial, run_trial, run_trials
from metabin.runs.provenance import ROOT
from metabin.streets import World

TINY = Task(World(height=32, width=16), sources=(0, 1), targets=(2, 3), train_ids=4, test_ids=4)
QUICK = demo(
    size=(32, 16), ids_per_domain=2, images_per_id=2, meta_train_share=0.5, iterations=2, crop_pad=1
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "CACHE", tmp_path / "cache")


def pictures(images) -> set[bytes]:
    return {image.numpy().tobytes() for image in images.images}


def test_people_to_be_found_were_not_trained_on_whether_their_street_was_or_not():
    for task in (TINY, replace(TINY, targets=(0, 1))):
        train, target = task.train_set(), task.target_set()
        assert not pictures(train) & pictures(target)
        assert (train.num_ids, target.num_ids) == (8, 8)
        assert set(target.names) == {f"street {d}" for d in task.targets}
        assert torch.equal(target.pids.unique(), torch.arange(8))


def test_a_trial_is_known_by_its_content():
    one, same, other = (
        Trial("bn", QUICK, TINY),
        Trial("bn", QUICK, TINY),
        Trial("bn", replace(QUICK, seed=1), TINY),
    )
    assert one.key() == same.key() != other.key()
    assert one.key() != replace(one, task=replace(TINY, world=replace(TINY.world, style=0.5))).key()


def test_a_trials_key_follows_imports_of_whole_modules_too():
    assert {
        trials.PACKAGE / "distributed.py",
        trials.PACKAGE / "meta.py",
    } <= trials._imported_files(trials.PACKAGE / "train.py")


def test_a_trial_reports_every_target_street_and_their_mean():
    result = run_trial(Trial("metabin", QUICK, TINY, oracle=True))
    for found in (result, result["oracle"]):
        assert list(found["domains"]) == ["street 2", "street 3"]
        assert found["rank1"] == pytest.approx(mean(d["rank1"] for d in found["domains"].values()))
    assert json.loads(json.dumps(result)) == result
    assert "oracle" not in run_trial(
        Trial("bn", replace(QUICK, **METHODS["bn"]), TINY, oracle=True)
    )


def test_a_trial_that_is_known_is_not_run_again(monkeypatch):
    wanted = [Trial("bn", replace(QUICK, seed=seed, **METHODS["bn"]), TINY) for seed in (0, 1)]
    first = run_trials(wanted, jobs=1)
    monkeypatch.setattr(trials, "run_trial", lambda trial: pytest.fail("was run again"))
    assert run_trials(reversed(wanted), jobs=1) == first[::-1]


def test_every_method_has_the_same_budget_of_settings_that_it_can_take():
    assert set(SETTINGS) >= set(SPINE) and set(LIKE.values()) <= set(SETTINGS)
    assert len({len(settings) for settings in SETTINGS.values()}) == 1
    for method, settings in SETTINGS.items():
        assert len({trial(method, TINY, 0, **setting).key() for setting in settings}) == len(
            settings
        )


def test_settings_are_chosen_without_the_targets_and_on_other_worlds():
    for seed in DEVELOPMENT:
        task = development(seed)
        assert len(task.sources) == 4 and set(task.sources) | set(task.targets) == {0, 1, 2, 3, 4}
    assert min(DEVELOPMENT) > 100  # the reported worlds are 0, 1, 2, …
    assert set(same_streets(0).targets) == set(same_streets(0).sources)


def test_missing_results_name_the_command_that_makes_them(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="make tables EXPERIMENT=spine"):
        read_results("spine")
    with pytest.raises(SystemExit) as stop:
        main(["figures", "--experiment", "spine"])
    assert stop.value.code == 2 and "make tables" in capsys.readouterr().err


def test_reports_that_are_there_are_known_by_experiment_and_profile(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert results.known_results() == {}
    reports = {"table3": "demo", "table3-gpu": "gpu", "table1": "demo"}
    for name, profile in reports.items():
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"profile": profile, "claims": [], "rows": []})
        )
    (tmp_path / "bench.json").write_text(
        json.dumps({"verdict": "fast"})
    )  # a file without rows and claims
    assert set(results.known_results()) == {"table1", "table3"}
    assert results.known_results("gpu") == {"table3": {"profile": "gpu", "claims": [], "rows": []}}
    assert results.known_results("paper") == {}


def test_all_rows_of_a_report_can_be_compared_with_any_of_them():
    rates = {"BN": [0.2, 0.4], "IN": [0.5, 0.6], "BIN": [0.6, 0.9]}
    rows = [
        {"name": name, "metrics": {"rank1": found, "mAP": found}} for name, found in rates.items()
    ]
    report = {"title": "T", "rows": rows, "claims": []}
    claims = results.compared(report, "IN")["claims"]
    assert [(c["better"], c["worse"], round(c["rank1"][0], 9)) for c in claims] == [
        ("BN", "IN", -0.25),
        ("BIN", "IN", 0.2),
    ]
    assert [c["better"] for c in results.compared(report, "BN", ["BIN"])["claims"]] == ["BIN"]
    assert report["claims"] == []
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
        found = difference + spread * torch.randn(
            20_000, worlds, generator=generator, dtype=torch.float64
        )
        half = stats.t.ppf(0.975, worlds - 1) * found.std(1) / worlds**0.5
        return (found.mean(1) > half).double().mean().item()

    needed = results.worlds_needed(spread, difference, power)
    assert seen(needed) > power - 0.01 and seen(needed - 1) < power + 0.01


def test_worlds_for_no_difference_at_all_can_not_be_counted():
    with pytest.raises(ValueError, match="above zero"):
        results.worlds_needed(1.0, 0.0)


# ---- declarations and reports --------------------------------------------------------------------------------------


def test_what_the_paper_claims_is_said_of_rows_that_are_there():
    for name, experiment in EXPERIMENTS.items():
        rows = [row.name for row in experiment.rows]
        assert len(set(rows)) == len(rows), name
        assert {row for claim in experiment.claims for row in claim} <= set(rows)
        assert all(len(row.paper) in (0, 2) for row in experiment.rows)


def test_every_row_is_a_valid_configuration_in_both_profiles():
    for experiment in EXPERIMENTS.values():
        for row in experiment.rows:
            for profile in ("demo", "gpu"):
                run = runner.trials_of(row, [1], profile)[0]
                assert run.config.size == (run.task.world.height, run.task.world.width)
            assert run.config.backbone == row.changes.get("backbone", Config.backbone)


def test_rows_that_tables_share_are_run_once():
    plans = {
        n: {runner.trials_of(row, [1])[0].key() for row in EXPERIMENTS[n].rows}
        for n in ("table1", "table4")
    }
    assert len(plans["table1"] & plans["table4"]) == 3  # BN, BIN with two pairs, MetaBIN
    period, weight = EXPERIMENTS["figure8"].rows[1], EXPERIMENTS["figure6"].rows[2]
    assert {runner.trials_of(row, [1])[0].key() for row in (period, weight)} <= plans["table1"]


def test_a_fixed_inner_step_and_a_scaled_outer_one_are_relative_to_what_was_chosen():
    tuned = chosen("metabin")
    found = runner.settings(Row("x", "metabin", inner=0.5, outer=4), "demo")
    assert found["inner_lr_low"] == found["inner_lr_high"] == 0.5 * tuned["inner_lr_high"]
    assert found["outer_lr"] == 4 * tuned["outer_lr"]
    assert runner.settings(Row("x", "bn_mldg", inner=1), "gpu") == {
        "inner_lr_low": 0.1,
        "inner_lr_high": 0.1,
    }


def test_a_single_street_is_seen_by_six_cameras_that_are_its_domains():
    task = replace(single_street(3), world=TINY.world, train_ids=4, test_ids=4)
    assert task.train_set().num_domains == 6 and not set(task.sources) & set(task.targets)


def test_far_streets_differ_more_from_each_other_than_those_trained_on():
    task = replace(far_streets(2), sources=(0, 1), targets=(2, 3), train_ids=4, test_ids=4)
    plain = replace(task, target_style=None)
    assert pictures(task.train_set()) == pictures(plain.train_set())
    assert pictures(task.target_set()) != pictures(plain.target_set())
    assert not set(supervised(1).targets) - set(supervised(1).sources)


def known_runs(rank1: dict):
    """Instead of training: a Rank-1 by method, a little better with every seed."""

    def run(wanted, jobs):
        for t in wanted:
            found = dict.fromkeys(METRICS, rank1[t.method] + 0.01 * t.config.seed) | {
                "train_seconds": 1
            }
            yield found | (
                {"rho": {"layers": ["a"], "values": [[[1.0, 0.0]]]}}
                if t.method == "metabin"
                else {}
            )

    return lambda wanted, jobs: list(run(wanted, jobs))


def test_a_report_tells_each_row_and_whether_the_claims_hold(monkeypatch):
    rows = Row("BN", "bn"), Row("IN", "in"), Row("MetaBIN", "metabin", paper=(64.7, 72.3))
    claims = ("IN", "BN"), ("MetaBIN", "IN"), ("MetaBIN", "BN")
    monkeypatch.setattr(runner, "run_trials", known_runs({"bn": 0.3, "in": 0.5, "metabin": 0.4}))
    found = json.loads(
        json.dumps(runner.report(Experiment("T", rows, claims, keeps_rho=True), seeds=3, jobs=1))
    )
    assert [row["metrics"]["rank1"] for row in found["rows"]] == [
        [b + 0.01 * s for s in (1, 2, 3)] for b in (0.3, 0.5, 0.4)
    ]
    assert (
        found["rows"][2]["rho"] == [[0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]]
        and found["rows"][2]["rho_mean"] == [0.5] * 3
    )
    assert [claim["rank1"][0] for claim in found["claims"]] == pytest.approx([0.2, -0.1, 0.1])
    assert found["verdict"].startswith(
        "partly: 2 of 3 differences, 1 the other way round. IN − BN: +20.0 [+20.0, "
    )
    assert "| MetaBIN | 42.0 ± 1.0 | 42.0 ± 1.0 |  | 64.7 | 72.3 |" in text(found)


def test_figure_9_says_whether_rho_falls_with_every_larger_step(monkeypatch):
    def run(wanted, jobs):
        for t in wanted:
            value = {1.0: 0.9, 2.0: 0.6, 4.0: 0.6}[
                t.config.outer_lr / chosen("metabin")["outer_lr"]
            ]
            rho = [[[value + 0.01 * t.config.seed, value]]]
            yield dict.fromkeys(METRICS, 0.5) | {
                "train_seconds": 1,
                "rho": {"layers": ["a"], "values": rho},
            }

    monkeypatch.setattr(runner, "run_trials", lambda wanted, jobs: list(run(wanted, jobs)))
    rows = tuple(Row(f"x {step}", "metabin", outer=step, at=step) for step in (1, 2, 4))
    kept = Experiment("T", rows, claims=(), axis="outer step", keeps_rho=True)
    assert (
        runner.report(kept, seeds=3, jobs=1)["verdict"]
        == "partly: mean rho falls in 1 of 2 steps: 0.91, 0.61, 0.61"
    )
    fewer = replace(kept, rows=rows[:2])
    assert (
        runner.report(fewer, seeds=3, jobs=1)["verdict"]
        == "yes: mean rho falls in 1 of 1 steps: 0.91, 0.61"
    )


def test_figure_2_tells_the_memory_of_a_meta_step_beside_its_accuracy(monkeypatch):
    def few_people(seed):
        return Task(World(seed=seed), train_ids=8)

    rows = [
        Row(f"{4 * p} images", "metabin", {"meta_ids_per_domain": p}, task=few_people)
        for p in (2, 8)
    ]
    monkeypatch.setattr(memory, "FIGURE_2", Experiment("Fig. 2", tuple(rows), claims=()))
    monkeypatch.setattr(runner, "run_trials", known_runs({"metabin": 0.4}))
    report = memory.figure2(seeds=2, jobs=1)
    few, many = report["rows"]
    assert few["base_mib"] == many["base_mib"] > few["meta_mib"]
    assert many["meta_mib"] == pytest.approx(4 * few["meta_mib"], rel=0.05)
    assert (
        f"- 8 images: {few['meta_mib']:.0f} MiB, the base step {few['base_mib']:.0f}"
        in memory.figure2_text(report)
    )


def fake_cost(name, device, rounds):
    """The printed specification, except that a ResNet-18 has one norm layer too many."""
    norms, rho, millions, *_ = architectures.PRINTED[name]
    cost = {
        "backbone": name,
        "norms": norms + (name == "resnet18"),
        "rho": rho,
        "parameters": 1e6 * millions,
    }
    return cost | {
        "images": 2,
        "bn_step_ms": 1,
        "bin_over_bn": 1,
        "bn_kept_mib": 10,
        "kept_over_bn": 2,
        "bin_ms_per_image": 3,
    }


def test_table_6_compares_the_specification_and_leaves_accuracy_to_a_gpu(monkeypatch):
    monkeypatch.setattr(architectures, "backbone_cost", fake_cost)
    report = json.loads(json.dumps(architectures.table6(seeds=3, jobs=1)))
    assert report["verdict"].startswith("partly: specification equal in 6 of 7 architectures")
    assert "accuracy not run" in report["verdict"]
    assert (
        "| resnet50 | 53 | 26560 | 23.56M | 53, 26560, 23.56M | 1 | 1.00 | 20 | 3.00 | 2.63 |"
        in architectures.table6_text(report)
    )
    monkeypatch.setattr(runner, "run_trials", known_runs({"metabin": 0.4}))
    report = json.loads(json.dumps(architectures.table6(seeds=3, jobs=1, profile="gpu")))
    assert (
        report["verdict"].startswith("no: 0 of 3 differences")
        and "6 of 7 architectures" in report["verdict"]
    )
    assert "| resnet50 | 42.0 ± 1.0 | 42.0 ± 1.0 |  | 66.0 | 73.6 |" in architectures.table6_text(
        report
    )


def test_a_trial_tells_its_losses_and_rho_over_training():
    result = run_trial(Trial("metabin", replace(QUICK, iterations=20), TINY))
    assert set(result["losses"]) > {"base/id", "meta_test/triplet"}
    assert all(len(curve) == 20 for curve in result["losses"].values())
    rho = result["rho"]
    assert rho["iterations"] == list(range(0, 21, 2)) and len(rho["values"]) == 11
    assert all(set(layer) == {1.0} for layer in rho["values"][0])


def test_every_experiment_has_a_name_a_text_and_a_drawing():
    from metabin import plotting

    for name, study in studies().items():
        assert callable(study.text) and study.seeds >= 2
        assert hasattr(plotting, study.draw) or name in ("tuning", "table6")


# ---- the committed numbers -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spine():
    return read_results("spine")


def test_the_spine_says_where_its_numbers_come_from(spine):
    made = spine["provenance"]
    assert made["command"].startswith("python -m metabin tables")
    assert (
        len(made["commit"]) == 40
        and made["cpus"]
        and made["seconds"] > 0
        and made["versions"]["torch"]
    )


def test_the_chosen_settings_are_the_best_of_those_tried(spine):
    tuning = read_results("tuning")
    assert tuning["chosen"].keys() == SETTINGS.keys()
    for method, setting in tuning["chosen"].items():
        tried = [row for row in tuning["tuning"] if row["method"] == method]
        assert [row["setting"] for row in tried] == SETTINGS[method]
        assert max(tried, key=lambda row: mean(row["mAP"]))["setting"] == setting
    assert spine["chosen"] == {method: chosen(method) for method in SPINE}


@pytest.mark.parametrize("setting", ["unseen_streets", "same_streets"])
def test_the_spines_intervals_follow_from_its_seeds(spine, setting):
    rows = spine[setting]["methods"]
    for pair, metrics in spine[setting]["paired"].items():
        a, b = pair.split(" - ")
        for metric, found in metrics.items():
            differences = [x - y for x, y in zip(rows[a][metric], rows[b][metric], strict=True)]
            assert len(differences) >= 5
            low, high = stats.t.interval(
                0.95, len(differences) - 1, mean(differences), stats.sem(differences)
            )
            assert found == pytest.approx([mean(differences), low, high], abs=1e-9)


@pytest.mark.parametrize("other", ["in", "bin", "metabin"])
def test_bn_is_below_in_bin_and_metabin_on_unseen_streets(spine, other):
    assert (
        spine["unseen_streets"]["paired"][f"bn - {other}"]["rank1"][2] < 0
    )  # the interval's upper end


def test_in_is_below_bn_where_colour_is_identity(spine):
    assert spine["same_streets"]["paired"]["bn - in"]["rank1"][1] > 0


def test_no_method_saturates_on_unseen_streets(spine):
    best = max(
        mean(row["rank1"])
        for name, row in spine["unseen_streets"]["methods"].items()
        if name in SPINE
    )
    assert 0.5 < best < 0.85


# ---- the phase diagram ---------------------------------------------------------------------------------------------


def test_a_phase_task_moves_identity_from_shape_into_colour():
    task = phases.phase_task(1.5, 0.33, 7)
    assert (task.world.seed, task.world.style) == (7, 1.5)
    assert task.world.colour_identity + task.world.shape_identity == pytest.approx(1)
    assert not set(task.sources) & set(task.targets)


def test_the_phase_diagram_runs_every_method_in_every_world(monkeypatch):
    grid = {"styles": (0.0, 1.0), "colours": (0.0, 1.0), "iterations": 5}
    monkeypatch.setattr(phases, "PHASE", phases.PHASE | grid)

    def known(trials, jobs):  # instead of training: a Rank-1 that says which trial it was
        for t in trials:
            assert (
                t.config.iterations == 5
                and t.config.norm == t.method
                and t.config.seed == t.task.world.seed
            )
            rank1 = {"bn": 0.5, "in": 0.3, "half": 0.4}[t.method] + 0.3 * t.task.world.style * (
                t.method == "in"
            )
            yield dict.fromkeys(METRICS, rank1 + 0.01 * t.config.seed)

    monkeypatch.setattr(phases, "run_trials", lambda trials, jobs: list(known(trials, jobs)))
    report = json.loads(json.dumps(phases.phase(2, 1)))
    assert [(c["style"], c["colour"]) for c in report["cells"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [c["winner"] for c in report["cells"]] == ["bn", "bn", "in", "in"]
    assert report["cells"][2]["methods"]["in"]["rank1"] == pytest.approx([0.61, 0.62])
    assert "| 1.0 | 0.0 | 51.5 | 61.5 | 41.5 | in | 10.0 |" in phase_text(report)


def test_a_lead_within_the_seeds_spread_decides_nothing():
    def rows(*bn):
        return {
            "bn": {"rank1": list(bn)},
            "in": {"rank1": [0.1, 0.1]},
            "half": {"rank1": [0.4, 0.4]},
        }

    steady, shaky = phases.phase_winner(rows(0.5, 0.52)), phases.phase_winner(rows(0.4, 0.6))
    assert (steady["winner"], steady["second"], steady["decided"]) == ("bn", "half", True)
    assert shaky["lead"] == pytest.approx([0, 0.2]) and not shaky["decided"]


def test_the_phase_diagrams_winners_follow_from_its_runs():
    report = read_results("phase")
    assert report["provenance"]["command"].startswith("python -m metabin tables")
    assert len(report["cells"]) == len(report["styles"]) * len(report["colours"])
    for cell in report["cells"]:
        rank1 = {m: cell["methods"][m]["rank1"] for m in report["methods"]}
        assert mean(rank1[cell["winner"]]) == max(map(mean, rank1.values()))
        assert phases.phase_winner(cell["methods"]) == {
            k: cell[k] for k in ("winner", "second", "lead", "decided")
        }


def test_the_readme_shows_the_committed_numbers(spine):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert spine_table(spine, "unseen_streets") in readme
    paired = {s: spine[s]["paired"] for s in ("unseen_streets", "same_streets")}
    for setting, pair, metric in [
        ("unseen_streets", "bn - in", "rank1"),
        ("unseen_streets", "bn - bin", "rank1"),
        ("unseen_streets", "bn - metabin", "rank1"),
        ("same_streets", "bn - in", "rank1"),
        ("unseen_streets", "bin - metabin", "rank1"),
        ("unseen_streets", "bin - metabin", "mAP"),
    ]:
        low, high = sorted(abs(100 * x) for x in paired[setting][pair][metric][1:])
        assert f"{low:.1f} to {high:.1f}" in readme


STEP = ("source statistics, no inner step: unseen streets", "no inner step: unseen streets")


@pytest.mark.parametrize(
    ("experiment", "better", "worse"),
    [
        ("table1", "MetaBIN", "Switchable (BN+IN) [27]"),
        ("table1", "MetaBIN", "BIN, two affine pairs"),
        ("table3", "MetaBIN", "no inner step"),
        ("table3", "MetaBIN", "rho at random"),
        ("table4", "BN, MLDG", "BN"),
        ("table5", "MetaBIN, own streets", "BN, own streets"),
        ("second_look", STEP[0], "joint BIN: unseen streets"),
        ("second_look", "MetaBIN: unseen streets", "joint BIN: unseen streets"),
        ("second_look", *STEP),
    ],
)
def test_the_readme_tells_the_committed_differences(experiment, better, worse):
    rows = {row["name"]: row["metrics"] for row in read_results(experiment)["rows"]}
    middle, low, high = (
        f"{100 * x:+.1f}".replace("-", "−")
        for x in results.paired(rows[better], rows[worse])["rank1"]
    )
    assert f"{middle}, {low} to {high}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_tells_where_rho_ends_with_every_outer_step():
    rows = read_results("figure9")["rows"]
    *first, last = (f"{mean(row['rho_mean']):.2f}" for row in rows)
    assert [row["at"] for row in rows] == [0.04, 0.2, 1, 5]
    assert f"{', '.join(first)} and {last} for 0.04, 0.2, 1 and 5 times" in (
        ROOT / "README.md"
    ).read_text("utf-8")


def test_what_no_interval_shows_is_not_told_as_shown():
    """The README's "every interval holds zero", and its "none of twelve lies above zero"."""
    parts = {
        "table3": ("tri + scat, fixed", "tri + shuf, fixed", "tri + scat + shuf, fixed"),
        "table4": ("MetaBIN in one episode",),
    }
    for experiment, names in parts.items():
        claims = [
            c
            for c in read_results(experiment)["claims"]
            if c["better"] in names or c["worse"] in names
        ]
        assert claims and all(c["rank1"][1] <= 0 <= c["rank1"][2] for c in claims)
    question = [claim["rank1"][1] for claim in read_results("question")["claims"]]
    assert len(question) == 12 and max(question) <= 0


def test_what_the_paper_saw_over_training_is_judged_by_its_own_words():
    """Fig. 7: at the beginning scatter and shuffle rise, triplet falls. Fig. 11: rho drops at the beginning and rebounds."""
    rise, fall = [0.0, *[1.0] * 29], [1.0, *[0.0] * 29]
    up, down, mixed = [rise] * 3, [fall] * 3, [rise, fall, rise]

    def judged(scatter, shuffle, triplet):
        curves = {"scatter": scatter, "shuffle": shuffle, "triplet": triplet}
        runs = [
            {"losses": {f"meta_train/{k}": v[seed] for k, v in curves.items()}} for seed in range(3)
        ]
        return history._beginning(runs)

    assert judged(up, up, down).startswith("yes")
    assert judged(up, mixed, down) == judged(up, up, down).replace("yes", "partly").replace(
        "scatter, shuffle, ", "scatter, "
    )
    assert judged(down, down, up).startswith("no")
    back, stays = [1.0, 0.4, 0.6], [1.0, 0.6, 0.5]
    means = torch.tensor([list(zip(back, stays, strict=True))] * 3)  # (seeds, moments, layers)
    means += 0.01 * torch.rand(means.shape, generator=torch.Generator().manual_seed(0))
    assert "comes back in layer 1 of 2" in history._rebounds(means)
    assert history._rebounds(means[:, :, 1:]).startswith("no")
