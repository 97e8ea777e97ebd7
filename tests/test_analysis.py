"""What the balancing parameters do, in numbers."""

import pytest
import torch
from conftest import make_people

from metabin.analysis import oracle_rho
from metabin.augment import normalize
from metabin.losses import triplet_loss
from metabin.model import build_model
from metabin.norm import balancing_parameters


@pytest.fixture
def fitted():
    people = make_people(num_domains=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model("bin", people.num_ids)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return model, people, before, oracle_rho(model, people, steps=8)


def loss_on(model, people) -> float:
    with torch.no_grad():
        features = model.eval().extractor(normalize(people.images))
    return sum(triplet_loss(features[people.domains == d], people.pids[people.domains == d]).item() for d in (0, 1))


def test_the_oracle_leaves_the_model_as_it_was(fitted):
    model, _, before, _ = fitted
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_the_oracle_stays_between_in_and_bn_and_finds_people_better(fitted):
    model, people, _, rho = fitted
    assert rho.keys() == balancing_parameters(model.extractor).keys()
    assert all(((r >= 0) & (r <= 1)).all() for r in rho.values())
    start = loss_on(model, people)
    model.extractor.load_state_dict(rho, strict=False)
    assert loss_on(model, people) < start
