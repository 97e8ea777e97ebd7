"""The table of choices, the presets made of it, and training with cameras as domains."""

import ast
import inspect
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch

from metabin.config import Config, demo
from metabin.data.batches import join
from metabin.data.images import cameras_as_domains, relabel
from metabin.evaluate.retrieval import evaluate
from metabin.meta import cyclic_inner_lr
from metabin.norm import balancing_parameters
from metabin.presets import CAMERAS, PRESETS, SETTINGS, TABLE, preset
from metabin.streets import World, make_streets, query_gallery
from metabin.train import Run, train

TESTS = Path(__file__).parent
NAMES = {f.name for f in fields(Config)}


def difference(one: Config, other: Config) -> dict[str, tuple]:
    a, b = asdict(one), asdict(other)
    return {name: (a[name], b[name]) for name in a if a[name] != b[name]}


def test_the_table_has_a_row_for_every_choice_in_order():
    assert [row.number for row in TABLE] == [f"D{n}" for n in range(1, 25)]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.number)
def test_a_row_names_fields_code_and_a_test_that_exist(row):
    assert row.fields.keys() <= NAMES and all(len(pair) == 2 for pair in row.fields.values())
    assert inspect.unwrap(row.code).__module__.startswith("metabin.") and row.note.endswith(".")
    file, name = row.test.split("::")
    assert name in {
        node.name
        for node in ast.walk(ast.parse((TESTS / f"{file}.py").read_text()))
        if hasattr(node, "name")
    }


def test_the_papers_preset_is_the_configurations_defaults():
    assert preset("paper") == Config()


def test_the_released_preset_differs_in_the_tables_second_column_and_nowhere_else():
    expected = {
        name: pair for row in TABLE for name, pair in row.fields.items() if pair[0] != pair[1]
    }
    assert difference(preset("paper"), preset("released")) == expected
    assert {
        "base_sampling",
        "mining",
        "centroid",
        "smooth",
        "decay_norms",
        "keep_at",
    } <= expected.keys()
    assert preset("released").keep_at * preset("released").iterations == pytest.approx(100_000)


def test_changes_come_last_and_unknown_names_are_answered_with_the_choices():
    assert preset("released", "single_source", outer_lr=0.5).outer_lr == 0.5
    for wrong in (dict(name="theirs"), dict(setting="cross")):
        with pytest.raises(ValueError, match="choose one of"):
            preset(**wrong)


def test_cameras_as_domains_are_section_4_2():
    config = preset("paper", "single_source")
    assert (config.backbone, config.outer_lr, config.meta_train_share) == ("resnet50", 0.2, 0.5)
    for formula in ("meta_train", "meta_test"):
        assert config.criterion(formula).weights == Config().criterion(formula).weights | {
            "id": 1.0
        }
    assert config.colour_jitter > 0 and config.domains_per_batch == 0
    theirs = preset("released", "single_source")
    assert theirs.ids_per_domain * theirs.images_per_id * theirs.domains_per_batch == 96
    assert theirs.iterations / 120 == config.iterations / 100
    assert [round(120 * m) for m in theirs.milestones] == [50, 90]
    assert set(difference(preset(), preset("paper", "supervised"))) <= CAMERAS.keys()


def test_a_fixed_inner_step_is_the_top():
    config = preset("paper", inner_lr_low=Config().inner_lr_high)
    steps = {
        cyclic_inner_lr(i / 100, config.inner_lr_low, config.inner_lr_high, config.inner_cycle)
        for i in range(100)
    }
    assert steps == {0.1}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_in_every_setting(name, setting, people):
    few = dict(size=(32, 16), iterations=2, ids_per_domain=2, images_per_id=2, meta_start=0)
    config = preset(name, setting, profile="demo", **few)
    images = people if setting == "multi_source" else cameras_as_domains(people)
    for step in train(Run(config, images)):
        assert all(loss.isfinite() for loss in step.losses.values())


def test_a_profile_makes_a_preset_smaller_and_keeps_its_choices():
    config = preset("released", profile="demo")
    assert (config.backbone, config.size, config.iterations) == ("streetnet", (64, 32), 300)
    assert (config.mining, config.smooth) == ("any identity", "others")
    assert (
        preset("paper", "single_source", "gpu").iterations
        == 13_475
        < preset(profile="gpu").iterations
    )


def test_the_released_code_keeps_the_last_weights_in_single_source_training_and_cycles_in_five_epochs():
    config = preset("released", "single_source")
    assert config.keep_at == 1.0 and config.inner_cycle * 120 == pytest.approx(5)


# --- cameras as domains -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street():
    """One street with eight cameras; everybody walks through all of them."""
    return relabel(make_streets(World(height=32, width=16), [0], 6, cameras=8, images_per_camera=2))


def camera_config(**changes) -> Config:
    few = dict(
        size=(32, 16),
        domains_per_batch=4,
        meta_train_share=0.5,
        ids_per_domain=2,
        images_per_id=2,
        crop_pad=1,
        iterations=2,
    )
    losses = {name: CAMERAS[name][0] for name in ("meta_train", "meta_test")}
    return demo(**few | losses | changes)


def test_a_camera_setting_trains_on_people_who_walk_through_several_cameras(street):
    split = cameras_as_domains(street)
    assert (
        split.num_domains == 8
        and len(split) == len(street)
        and torch.equal(split.pids, street.pids)
    )
    assert split.names[3] == "street 0 camera 3"
    run = Run(camera_config(), split)
    start = [r.detach().clone() for r in balancing_parameters(run.model).values()]
    for step in train(run):
        assert {"meta_train/id", "meta_test/id"} <= step.losses.keys()
        assert all(loss.isfinite() for loss in step.losses.values())
    assert any(
        not torch.equal(r, s)
        for r, s in zip(balancing_parameters(run.model).values(), start, strict=True)
    )


def test_a_batch_has_room_for_some_of_the_cameras_and_all_get_their_turn(street):
    run = Run(camera_config(), cameras_as_domains(street))
    drawn = [tuple(b.domains[0].item() for b in run.base_batches.draw()) for _ in range(60)]
    assert all(len(set(d)) == 4 for d in drawn) and {c for d in drawn for c in d} == set(range(8))
    for batch in run.meta_batches.draw():
        assert len(batch.domains.unique()) == 1 and batch.pids.bincount().max() == 2
    assert join(run.base_batches.draw()).images.shape[0] == 16


def test_cameras_of_different_streets_are_different_domains(people):
    split = cameras_as_domains(people)
    assert split.num_domains == 8 and torch.equal(split.domains // 2, people.domains)
    assert torch.equal(split.domains % 2, people.camids)


def test_a_single_camera_is_refused_with_the_ways_out(street):
    with pytest.raises(ValueError, match='single camera.*several.*algorithm="joint"'):
        cameras_as_domains(street[street.camids == 0])


def test_a_batch_that_has_room_for_more_cameras_than_there_are_takes_all(street):
    run = Run(camera_config(domains_per_batch=20), cameras_as_domains(street))
    assert len(run.base_batches.draw()) == 8 and run.num_meta_train == 4


def test_a_supervised_run_is_tested_on_other_people_of_its_own_cameras(street):
    known, others = relabel(street[street.pids < 4]), street[street.pids >= 4]
    run = Run(camera_config(domains_per_batch=0), cameras_as_domains(known))
    for _ in train(run):
        pass
    found = evaluate(run.model, *query_gallery(others))
    assert run.model.classifier.out_features == 4
    assert len(found.pids) == (others.camids == 0).sum() and set(found.pids.tolist()) == {4, 5}
    assert 0 <= found.rank1 <= 1 and 0 < found.mAP <= 1
