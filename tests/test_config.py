"""The configuration: Section 4.1's defaults, what is refused, and switching between methods."""

from dataclasses import FrozenInstanceError, astuple, replace
from itertools import permutations

import pytest

from metabin.config import METHODS, PROFILES, Config, demo


def test_the_defaults_are_section_4_1():
    config = Config()
    assert (config.ids_per_domain, config.images_per_id) == (4, 4)
    assert (config.label_smoothing, config.margin) == (0.1, 0.3)
    assert (config.lr, config.momentum, config.weight_decay) == (0.01, 0.9, 5e-4)
    assert (config.warmup * 100, config.milestones) == (10, (0.4, 0.7))  # epochs of 100
    assert (config.inner_lr_low, config.inner_lr_high, config.outer_lr) == (0.001, 0.1, 0.1)
    assert config.iterations * config.inner_cycle == pytest.approx(9245)  # five epochs
    assert round(config.meta_train_share * 5) == 3
    criteria = [config.criterion(phase).formula for phase in ("base", "meta_train", "meta_test")]
    assert criteria == ["id + triplet", "scatter + shuffle + triplet", "triplet"]


def test_a_configuration_cannot_be_changed_only_replaced():
    with pytest.raises(FrozenInstanceError):
        demo().lr = 1.0
    assert demo(lr=1.0) == replace(demo(), lr=1.0)


REFUSED = {
    "norm": ["batch"],
    "milestones": [(40.0, 70.0), ("a",), [0.4]],  # the first in epochs
    "warmup": [10.0],
    "keep_at": [100_000.0],
    "label_smoothing": [2.0],
    "momentum": [1.5],
    "erasing": [5.0],
    "size": [(64,), ("64", "32")],
    "lr": [float("inf"), float("nan"), -0.1, "1e-4"],  # the last is what YAML makes of it
    "inner_lr_low": [0.2],
    "algorithm": ["both"],
    "backbone": ["vgg16"],
    "meta_train": ["scatter + dice"],
    "mining": ["hardest"],
    "decay_norms": [1],
    "seed": [True],
    "precision": ["fp8"],
    "ids_per_domain": [0],
    "images_per_id": [1],  # no positives, no triplet loss: rho would stand still without a word
    "iterations": [0],
    "inner_cycle": [0.0],
}


@pytest.mark.parametrize("field", REFUSED)
def test_a_value_that_makes_no_sense_is_refused_by_name(field):
    for value in REFUSED[field]:
        with pytest.raises((ValueError, TypeError), match=field):
            demo(**{field: value})


def test_every_method_can_be_switched_to_from_every_other():
    for one, other in permutations(METHODS, 2):
        assert replace(demo(**METHODS[one]), **METHODS[other]) == demo(**METHODS[other])
    assert len({astuple(demo(**changes)) for changes in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("algorithm", ["joint", "mldg", "one_episode"])
def test_the_control_belongs_to_metabin_alone(algorithm):
    with pytest.raises(ValueError, match="control='random' is for algorithm=\"metabin\""):
        demo(algorithm=algorithm, control="random")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_a_valid_configuration(profile):
    assert replace(Config(), **PROFILES[profile]).iterations <= Config().iterations
