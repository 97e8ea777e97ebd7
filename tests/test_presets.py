"""The table of choices, the presets made of it, and training with cameras as domains."""

import ast
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import pytest
import torch

from metabin.config import Config, demo
from metabin.data.images import cameras_as_domains, relabel
from metabin.evaluate.retrieval import evaluate
from metabin.meta import cyclic_inner_lr
from metabin.norm import balancing_parameters
from metabin.presets import CAMERAS, PRESETS, SETTINGS, TABLE, preset
from metabin.samplers import join
from metabin.streets import World, make_streets, query_gallery
from metabin.train import Run, train

TESTS = Path(__file__).parent
FEW = dict(size=(32, 16), ids_per_domain=2, images_per_id=2, iterations=2)


def difference(one: Config, other: Config) -> dict[str, tuple]:
    a, b = asdict(one), asdict(other)
    return {name: (a[name], b[name]) for name in a if a[name] != b[name]}


def test_the_table_has_a_row_for_every_choice_in_order():
    assert [row.number for row in TABLE] == [f"D{n}" for n in range(1, 25)]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.number)
def test_a_row_names_fields_code_and_a_test_that_exist(row):
    assert row.fields.keys() <= asdict(Config()).keys()
    assert all(len(pair) == 2 for pair in row.fields.values())
    module, _, code = row.code.rpartition(".")
    assert hasattr(import_module(f"metabin.{module}"), code)
    file, name = row.test.split("::")
    tree = ast.parse((TESTS / f"{file}.py").read_text())
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_the_presets_are_the_defaults_and_the_tables_second_column():
    assert preset("paper") == Config()
    expected = {}
    for row in TABLE:
        expected |= {name: pair for name, pair in row.fields.items() if pair[0] != pair[1]}
    released = preset("released")
    assert difference(preset("paper"), released) == expected
    assert (released.mining, released.smooth) == ("any identity", "others")
    assert released.keep_at * released.iterations == pytest.approx(100_000)


def test_changes_come_last_and_unknown_names_are_answered_with_the_choices():
    assert preset("released", "single_source", outer_lr=0.5).outer_lr == 0.5
    for wrong in (dict(name="theirs"), dict(setting="cross"), dict(profile="phone")):
        with pytest.raises(ValueError, match="choose one of"):
            preset(**wrong)


def test_a_profile_makes_a_preset_smaller_and_keeps_its_choices():
    config = preset("released", profile="demo")
    assert (config.backbone, config.size, config.iterations) == ("streetnet", (64, 32), 300)
    assert (config.mining, config.smooth) == ("any identity", "others")
    assert preset("paper", "single_source", "gpu").iterations == 13_475  # fewer than the profile's


def test_cameras_as_domains_are_section_4_2():
    config, released = preset("paper", "single_source"), preset("released", "single_source")
    assert (config.backbone, config.outer_lr, config.meta_train_share) == ("resnet50", 0.2, 0.5)
    for phase in ("meta_train", "meta_test"):
        multi_source = Config().criterion(phase).weights
        assert config.criterion(phase).weights == multi_source | {"id": 1.0}
    assert config.colour_jitter > 0 and config.domains_per_batch == 0
    assert released.ids_per_domain * released.images_per_id * released.domains_per_batch == 96
    assert released.iterations / 120 == config.iterations / 100
    assert [round(120 * m) for m in released.milestones] == [50, 90]
    assert released.keep_at == 1.0 and released.inner_cycle * 120 == pytest.approx(5)
    assert set(difference(preset(), preset("paper", "supervised"))) <= CAMERAS.keys()


def test_a_fixed_inner_step_is_the_top():
    config = preset("paper", inner_lr_low=Config().inner_lr_high)
    arguments = config.inner_lr_low, config.inner_lr_high, config.inner_cycle
    assert {cyclic_inner_lr(i / 100, *arguments) for i in range(100)} == {0.1}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_in_every_setting(name, setting, people):
    config = preset(name, setting, profile="demo", **FEW, meta_start=0)
    images = people if setting == "multi_source" else cameras_as_domains(people)
    for step in train(Run(config, images)):
        assert all(loss.isfinite() for loss in step.losses.values())


# ---- cameras as domains --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street():
    """One street with eight cameras; everybody walks through all of them."""
    return relabel(make_streets(World(height=32, width=16), [0], 6, cameras=8, images_per_camera=2))


def camera_config(domains_per_batch: int = 4) -> Config:
    losses = {name: CAMERAS[name][0] for name in ("meta_train", "meta_test")}
    rest = dict(domains_per_batch=domains_per_batch, meta_train_share=0.5, crop_pad=1)
    return demo(**FEW | losses | rest)


def test_a_camera_setting_trains_on_people_who_walk_through_several_cameras(street):
    split = cameras_as_domains(street)
    assert split.num_domains == 8 and split.names[3] == "street 0 camera 3"
    assert torch.equal(split.pids, street.pids)
    run = Run(camera_config(), split)
    for step in train(run):
        assert {"meta_train/id", "meta_test/id"} <= step.losses.keys()
        assert all(loss.isfinite() for loss in step.losses.values())
    assert any((rho != 1).any() for rho in balancing_parameters(run.model).values())


def test_a_batch_has_room_for_some_of_the_cameras_and_all_get_their_turn(street):
    run, seen = Run(camera_config(), cameras_as_domains(street)), set()
    for _ in range(60):
        batch = join(run.base_batches.draw())
        assert len(batch.images) == 16 and len(batch.domains.unique()) == 4
        seen |= set(batch.domains.tolist())
    assert seen == set(range(8))
    for batch in run.meta_batches.draw():
        assert len(batch.domains.unique()) == 1 and batch.pids.bincount().max() == 2


def test_cameras_of_different_streets_are_different_domains(people):
    split = cameras_as_domains(people)
    assert split.num_domains == 8 and torch.equal(split.domains // 2, people.domains)
    assert torch.equal(split.domains % 2, people.camids)


def test_a_single_camera_is_refused_with_the_ways_out(street):
    with pytest.raises(ValueError, match='single camera.*several.*algorithm="joint"'):
        cameras_as_domains(street[street.camids == 0])


def test_a_batch_that_has_room_for_more_cameras_than_there_are_takes_all(street):
    run = Run(camera_config(20), cameras_as_domains(street))
    assert len(run.base_batches.draw()) == 8 and run.num_meta_train == 4


def test_a_supervised_run_is_tested_on_other_people_of_its_own_cameras(street):
    known, others = relabel(street[street.pids < 4]), street[street.pids >= 4]
    run = Run(camera_config(0), cameras_as_domains(known))
    list(train(run))
    result = evaluate(run.model, *query_gallery(others))
    assert run.model.classifier.out_features == 4
    assert len(result.pids) == (others.camids == 0).sum() and set(result.pids.tolist()) == {4, 5}
    assert 0 <= result.rank1 <= 1 and 0 < result.mAP <= 1
