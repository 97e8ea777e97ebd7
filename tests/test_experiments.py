"""Trials, tables, and the committed numbers of the spine: do they follow from the runs, and do the claims hold?"""

import json
from dataclasses import replace
from statistics import mean

import pytest
import torch
from scipy import stats

from metabin import experiments, trials
from metabin.experiments import DEVELOPMENT, METHODS, SETTINGS, development, main, read_results, same_streets, trial
from metabin.streets import World
from metabin.train import Config
from metabin.trials import Task, Trial, run_trial, run_trials

TINY = Task(World(height=32, width=16), sources=(0, 1), targets=(2, 3), train_ids=4, test_ids=4)
QUICK = Config(ids_per_domain=2, images_per_id=2, meta_train_share=0.5, iterations=2, crop_pad=1)


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
    one, same, other = Trial("bn", QUICK, TINY), Trial("bn", QUICK, TINY), Trial("bn", replace(QUICK, seed=1), TINY)
    assert one.key() == same.key() != other.key()
    assert one.key() != replace(one, task=replace(TINY, world=replace(TINY.world, style=0.5))).key()


def test_a_trial_reports_every_target_street_and_their_mean():
    result = run_trial(Trial("metabin", QUICK, TINY, oracle=True))
    for found in (result, result["oracle"]):
        assert list(found["domains"]) == ["street 2", "street 3"]
        assert found["rank1"] == pytest.approx(mean(d["rank1"] for d in found["domains"].values()))
    assert json.loads(json.dumps(result)) == result
    assert "oracle" not in run_trial(Trial("bn", replace(QUICK, norm="bn"), TINY, oracle=True))


def test_a_trial_that_is_known_is_not_run_again(monkeypatch):
    wanted = [Trial("bn", replace(QUICK, norm="bn", seed=seed), TINY) for seed in (0, 1)]
    first = run_trials(wanted, jobs=1)
    monkeypatch.setattr(trials, "run_trial", lambda trial: pytest.fail("was run again"))
    assert run_trials(reversed(wanted), jobs=1) == first[::-1]


def test_every_method_has_the_same_budget_of_settings_that_it_can_take():
    assert set(SETTINGS) == set(METHODS)
    assert len({len(settings) for settings in SETTINGS.values()}) == 1
    for method, settings in SETTINGS.items():
        assert len({trial(method, TINY, 0, **setting).key() for setting in settings}) == len(settings)


def test_settings_are_chosen_without_the_targets_and_on_other_worlds():
    for seed in DEVELOPMENT:
        task = development(seed)
        assert len(task.sources) == 4 and set(task.sources) | set(task.targets) == {0, 1, 2, 3, 4}
    assert min(DEVELOPMENT) > 100  # the reported worlds are 0, 1, 2, …
    assert set(same_streets(0).targets) == set(same_streets(0).sources)


def test_missing_results_name_the_command_that_makes_them(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="make tables EXPERIMENT=spine"):
        read_results("spine")
    with pytest.raises(SystemExit) as stop:
        main(["figures"])
    assert stop.value.code == 2 and "make tables" in capsys.readouterr().err


# ---- the committed numbers -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spine():
    return read_results("spine")


def test_the_spine_says_where_its_numbers_come_from(spine):
    made = spine["provenance"]
    assert made["command"].startswith("python -m metabin.experiments tables")
    assert len(made["commit"]) == 40 and made["cpus"] and made["seconds"] > 0 and made["versions"]["torch"]


def test_the_spines_settings_are_the_best_of_those_tried(spine):
    for method, setting in spine["chosen"].items():
        tried = [row for row in spine["tuning"] if row["method"] == method]
        assert [row["setting"] for row in tried] == SETTINGS[method]
        assert max(tried, key=lambda row: mean(row["mAP"]))["setting"] == setting


@pytest.mark.parametrize("setting", ["unseen_streets", "same_streets"])
def test_the_spines_intervals_follow_from_its_seeds(spine, setting):
    rows = spine[setting]["methods"]
    for pair, metrics in spine[setting]["paired"].items():
        a, b = pair.split(" - ")
        for metric, found in metrics.items():
            differences = [x - y for x, y in zip(rows[a][metric], rows[b][metric], strict=True)]
            assert len(differences) >= 5
            low, high = stats.t.interval(0.95, len(differences) - 1, mean(differences), stats.sem(differences))
            assert found == pytest.approx([mean(differences), low, high], abs=1e-9)


@pytest.mark.parametrize("other", ["in", "bin", "metabin"])
def test_bn_is_below_in_bin_and_metabin_on_unseen_streets(spine, other):
    assert spine["unseen_streets"]["paired"][f"bn - {other}"]["rank1"][2] < 0  # the interval's upper end


def test_in_is_below_bn_where_colour_is_identity(spine):
    assert spine["same_streets"]["paired"]["bn - in"]["rank1"][1] > 0


def test_no_method_saturates_on_unseen_streets(spine):
    best = max(mean(row["rank1"]) for name, row in spine["unseen_streets"]["methods"].items() if name in METHODS)
    assert 0.5 < best < 0.85
