"""Tasks, trials and their records: what is trained on, tested on, kept and found again."""

import json
from dataclasses import replace
from multiprocessing import get_context
from statistics import mean

import pytest
import torch

from metabin.config import METHODS, Config, demo
from metabin.experiments import tasks, trials
from metabin.experiments.records import add_record, read_records
from metabin.experiments.trials import Task, Trial, run_trial, run_trials
from metabin.streets import World

TINY = Task(World(height=32, width=16), sources=(0, 1), targets=(2, 3), train_ids=4, test_ids=4)
QUICK = demo(
    size=(32, 16), ids_per_domain=2, images_per_id=2, meta_train_share=0.5, iterations=2, crop_pad=1
)
BN = replace(QUICK, **METHODS["bn"])


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(trials, "RECORDS", tmp_path / "trials.jsonl")


def pictures(images) -> set[bytes]:
    return {image.numpy().tobytes() for image in images.images}


# ---- tasks ---------------------------------------------------------------------------


def tiny(task: Task, **changes) -> Task:
    """A task with few people."""
    return replace(task, train_ids=4, test_ids=4, **changes)


@pytest.mark.parametrize("targets", [(2, 3), (0, 1)])
def test_people_to_be_found_were_not_trained_on(targets):
    task = replace(TINY, targets=targets)
    train, target = task.train_set(), task.target_set()
    assert not pictures(train) & pictures(target)
    assert (train.num_ids, target.num_ids) == (8, 8)
    assert set(target.names) == {f"street {d}" for d in targets}
    assert torch.equal(target.pids.unique(), torch.arange(8))


def test_a_single_street_is_seen_by_six_cameras_that_are_its_domains():
    task = tiny(tasks.single_street(3), world=TINY.world)
    assert task.train_set().num_domains == 6 and not set(task.sources) & set(task.targets)


def test_far_streets_differ_more_from_each_other_than_those_trained_on():
    far = tiny(tasks.far_streets(2), sources=(0, 1), targets=(2, 3))
    plain = replace(far, target_style=None)
    assert pictures(far.train_set()) == pictures(plain.train_set())
    assert pictures(far.target_set()) != pictures(plain.target_set())


def test_settings_are_chosen_without_the_targets_and_on_other_worlds():
    for seed in tasks.DEVELOPMENT:
        task = tasks.development(seed)
        assert len(task.sources) == 4 and {*task.sources, *task.targets} == {0, 1, 2, 3, 4}
    assert min(tasks.DEVELOPMENT) > 100  # the reported worlds are 1, 2, 3, …
    for at_home in (tasks.supervised(0), tasks.at_home(tasks.unseen_streets(0))):
        assert set(at_home.targets) == set(at_home.sources)


@pytest.mark.parametrize(
    ("settings_of", "profile", "count"),
    [(tasks.TUNED, "demo", 6), (tasks.FINISHED_SETTINGS, "finished", 8)],
)
def test_every_method_has_the_same_budget_of_settings_that_it_can_take(settings_of, profile, count):
    assert {*tasks.SPINE, *tasks.LIKE.values()} <= set(settings_of)
    for method, settings in settings_of.items():
        trials = [tasks.trial(method, TINY, 0, profile, **setting) for setting in settings]
        assert len({trial.key() for trial in trials}) == len(settings) == count


# ---- trials --------------------------------------------------------------------------


def test_a_trial_is_known_by_its_content_and_not_by_its_methods_name():
    one = Trial("bn", QUICK, TINY)
    assert one.key() == replace(one, method="the same").key()
    style = replace(TINY, world=replace(TINY.world, style=0.5))
    others = replace(one, config=replace(QUICK, seed=1)), replace(one, task=style)
    assert one.key() not in {other.key() for other in others}


def test_an_option_that_is_off_does_not_change_a_trials_key(monkeypatch):
    one = Trial("bn", BN, TINY)
    mixed = replace(one, config=replace(BN, mixstyle=0.5))
    assert mixed.key() != one.key()
    key, fields = one.key(), Config.__dataclass_fields__
    older = {name: field for name, field in fields.items() if name != "mixstyle"}
    monkeypatch.setattr(Config, "__dataclass_fields__", older)
    assert one.key() == key


def test_a_trial_reports_every_target_street_and_their_mean():
    result = run_trial(Trial("metabin", QUICK, TINY, oracle=True))
    for rates in (result, result["oracle"]):
        assert list(rates["domains"]) == ["street 2", "street 3"]
        streets = mean(d["rank1"] for d in rates["domains"].values())
        assert rates["rank1"] == pytest.approx(streets, abs=1e-4)
    assert json.loads(json.dumps(result)) == result
    assert "oracle" not in run_trial(Trial("bn", BN, TINY, oracle=True))


def test_a_trial_tells_its_losses_and_rho_over_training():
    result = run_trial(Trial("metabin", replace(QUICK, iterations=20), TINY))
    assert set(result["losses"]) > {"base/id", "meta_test/triplet"}
    assert all(len(curve) == 20 for curve in result["losses"].values())
    rho = result["rho"]
    assert rho["iterations"] == list(range(0, 21, 2)) and len(rho["summary"]) == 11
    assert rho["summary"][0] == [[1.0] * 4] * 12  # eleven layers, and all of them
    assert len(rho["shares"]) == 11 and {len(row) for row in rho["shares"]} == {10}


def test_a_trial_that_is_known_is_not_run_again(monkeypatch):
    wanted = [Trial("bn", replace(BN, seed=seed), TINY) for seed in (0, 1)]
    first = run_trials(wanted, jobs=1)
    lines = trials.RECORDS.read_text().splitlines()
    assert [json.loads(line) for line in lines] == first
    assert first[0].keys() >= {"key", "commit", "train_seconds", "rank1"}
    monkeypatch.setattr(trials, "run_trial", lambda trial: pytest.fail("was run again"))
    assert run_trials(reversed(wanted), jobs=1) == first[::-1]
    assert trials.RECORDS.read_text().splitlines() == lines


def test_a_record_keeps_rank1_and_map_of_every_street_and_all_of_their_means():
    rates = {"rank1": 0.5, "rank5": 0.9, "mAP": 0.4}
    test = rates | {"domains": {"street 5": rates}}
    short = trials.compact({"method": "bn", "also": {"home": test}, "losses": {"id": [1.0]}} | test)
    street = {"domains": {"street 5": {"rank1": 0.5, "mAP": 0.4}}}
    home = {"also": {"home": rates | street}}
    assert short == {"method": "bn", "losses": {"id": [1.0]}} | home | rates | street


# ---- records -------------------------------------------------------------------------


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "trials.jsonl"
    assert read_records(path) == {}
    for key in ("a", "b"):
        add_record(path, {"key": key, "mAP": 0.5})
    path.write_bytes(path.read_bytes()[:-5])
    assert read_records(path).keys() == {"a"}
    add_record(path, {"key": "c", "ρ": 0.5})
    assert read_records(path) == {"a": {"key": "a", "mAP": 0.5}, "c": {"key": "c", "ρ": 0.5}}


def add_many(path, name):
    for number in range(50):
        add_record(path, {"key": f"{name}{number}", "text": name * 5000})


def test_several_processes_write_whole_lines(tmp_path):
    path = tmp_path / "trials.jsonl"
    writers = []
    for name in "abc":
        writers.append(get_context("fork").Process(target=add_many, args=(path, name)))
        writers[-1].start()
    for writer in writers:
        writer.join()
    assert len(read_records(path)) == len(path.read_text().splitlines()) == 150
