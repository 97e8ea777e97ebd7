"""The training run of lesson 06: what it is tested on, and that a checkpoint is the whole of it."""

from statistics import mean

import pytest
import torch
from conftest import make_people

from metabin.course import lesson_run
from metabin.evaluate.retrieval import evaluate
from metabin.experiments import read_results
from metabin.streets import query_gallery
from metabin.train import Run, train


def test_a_run_from_its_checkpoint_goes_on_to_the_same_bits(people, quick):
    run = Run(quick, people, device="cpu")
    next(train(run))
    twin = lesson_run.saved_and_loaded(run)
    losses = [next(train(each)).losses for each in (run, twin)]
    assert losses[0] == losses[1] and run.iteration == twin.iteration == 2
    other = twin.model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in run.model.state_dict().items())


def test_the_batch_that_is_drawn_shows_every_source_and_leaves_the_run_alone(people, quick):
    run = Run(quick, people, device="cpu")
    before = run.base_batches.get_state()
    pictures = lesson_run.drawn_batch(run)
    assert list(pictures) == list(people.names)
    size = (quick.ids_per_domain * quick.images_per_id, 3, *quick.size)
    assert {tuple(rows.shape) for rows in pictures.values()} == {size}
    assert all(torch.equal(a, b) for a, b in zip(before, run.base_batches.get_state(), strict=True))


def test_a_search_joins_the_queries_of_all_streets(people, quick):
    model = Run(quick, people, device="cpu").model
    pairs = {}
    for domain, name in enumerate(people.names):
        pairs[name] = query_gallery(people[people.domains == domain])
    joined = lesson_run.search(model, pairs)
    each = [evaluate(model, *pair) for pair in pairs.values()]
    assert len(joined.pids) == sum(len(result.pids) for result in each)
    shares = [result.rank1 * len(result.pids) for result in each]
    assert joined.rank1 == pytest.approx(sum(shares) / len(joined.pids))


def test_people_of_a_real_set_are_those_whom_both_busiest_cameras_saw():
    people = make_people(num_domains=1, ids=4)
    camids = people.camids.clone()
    camids[people.pids == 0] = 1  # seen by one of the two only
    camids[people.pids == 3] = torch.tensor([0, 0, 1, 2])  # and by a third
    kept = lesson_run._two_cameras(lesson_run.replace(people, camids=camids))
    assert kept.pids.unique().tolist() == [1, 2, 3]
    assert kept.camids.unique().tolist() == [0, 1] and (kept.pids == 3).sum() == 3


def test_the_real_sets_need_their_folder(monkeypatch):
    monkeypatch.delenv("METABIN_DATA", raising=False)
    with pytest.raises(ValueError, match="needs the folder of the real sets"):
        lesson_run.prepare("paper", seed=0)


def test_differences_over_worlds_are_metabins_gain():
    rows = {row["method"]: row for row in read_results("table1", "finished")["rows"]}
    bn, metabin = (mean(rows[name]["metrics"]["rank1"]) for name in ("bn", "metabin"))
    middle, low, high = lesson_run.metabin_minus_others()["bn"]
    assert low < middle < high and middle == pytest.approx(metabin - bn)


def test_the_demos_schedule_is_a_little_short_of_finished():
    finished = read_results("schedules")["finished"]
    iterations = lesson_run.prepare("demo", seed=0).run.config.iterations
    assert finished["the studio's weights"] == iterations
    assert iterations < finished["the studio's weights, as tuned"] <= 1.5 * iterations
