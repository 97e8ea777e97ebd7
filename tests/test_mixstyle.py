"""MixStyle against its loop, and within a training: acts there alone, resumes to the bit."""

import pytest
import torch

from metabin.config import demo
from metabin.networks.mixstyle import EPS, add_mix_style, mix_styles
from metabin.networks.model import build_model
from metabin.streets import World, make_streets
from metabin.train import Run, train

STREETS = make_streets(World(height=32, width=16), range(2), 6)
QUICK = demo(
    size=(32, 16),
    ids_per_domain=2,
    images_per_id=2,
    crop_pad=1,
    iterations=6,
    algorithm="joint",
    norm="bn",
    mixstyle=0.5,
)


def test_a_map_takes_a_mix_of_its_own_and_anothers_mean_and_deviation():
    x, other = torch.randn(4, 3, 5, 2, dtype=torch.float64), torch.tensor([2, 1, 3, 0])
    share = torch.tensor([0.3, 0.5, 1.0, 0.0], dtype=torch.float64)
    y = mix_styles(x, share, other)
    for i, j in enumerate(other):
        for c in range(3):
            own, its = x[i, c], x[j, c]
            own_std = (own.var(correction=0) + EPS).sqrt()
            std = share[i] * own_std + (1 - share[i]) * (its.var(correction=0) + EPS).sqrt()
            mean = share[i] * own.mean() + (1 - share[i]) * its.mean()
            assert torch.allclose(y[i, c], std * (own - own.mean()) / own_std + mean)
    assert torch.allclose(y[[1, 2]], x[[1, 2]])  # mixed with itself; a share of 1


def test_statistics_carry_no_gradient():
    x = torch.randn(2, 1, 3, 3, requires_grad=True)
    mix_styles(x, torch.tensor([1.0, 1.0]), torch.tensor([1, 0])).sum().backward()
    assert torch.allclose(x.grad, torch.ones_like(x))


def test_it_acts_in_train_mode_alone_and_in_its_share_of_the_batches():
    images = STREETS.images[:8].float()
    plain, mixed = (build_model("bn", 4, seed=0).extractor for _ in range(2))
    add_mix_style(mixed, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(plain.eval()(images), mixed.eval()(images))
    plain.train(), mixed.train()
    equal = [torch.allclose(plain(images), mixed(images)) for _ in range(40)]
    assert 2 <= sum(equal) <= 20  # both of two stages leave a batch alone in a quarter of them
    assert plain.state_dict().keys() == mixed.state_dict().keys()


def test_a_training_with_it_resumes_to_the_bit():
    whole, first, second = (Run(QUICK, STREETS, "cpu") for _ in range(3))
    losses = [step.losses["base/id"].item() for step in train(whole)]
    steps = train(first)
    begun = [next(steps).losses["base/id"].item() for _ in range(3)]
    second.load_state_dict(first.state_dict())
    assert begun + [step.losses["base/id"].item() for step in train(second)] == losses
    state = second.model.state_dict()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, state[name])


def test_it_is_for_batch_normalization_alone():
    with pytest.raises(ValueError, match="mixstyle=0.5 is for norm=\"bn\", not for 'in'"):
        demo(algorithm="joint", norm="in", mixstyle=0.5)
