"""What the inner step does to rho and to the held-out streets."""

import pytest
import torch
from conftest import make_people

from metabin import analysis
from metabin.analysis import INNER_LOSSES, inner_gradients, inner_step_effect
from metabin.data.augment import normalize
from metabin.meta import inner_step
from metabin.norm import balancing_parameters
from metabin.samplers import Batch
from metabin.train import Run, train


@pytest.fixture
def run(people, quick):
    """A MetaBIN run a few iterations old, so that rho lies between IN and BN."""
    run = Run(quick, people, device="cpu")
    for step in train(run):
        if step.iteration == 3:
            break
    with torch.no_grad():
        for rho in balancing_parameters(run.model.extractor).values():
            rho.copy_(torch.linspace(0.3, 0.7, len(rho)))
    return run


def values(run) -> list[torch.Tensor]:
    """Everything in a run that may change, as tensors, and whether its modules train."""
    state = run.state_dict()
    momenta = [s["momentum_buffer"] for s in state["optimizer"]["state"].values()]
    modes = torch.tensor([module.training for module in run.model.modules()])
    streams = *state["base_batches"], *state["meta_batches"]
    return [tensor.clone() for tensor in (*state["model"].values(), *momenta, *streams, modes)]


def same(before, after) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_gradients_of_the_parts_add_up_to_the_inner_step(run):
    rows = run.images[run.images.domains < 3]
    batch = Batch(normalize(rows.images), rows.pids, rows.domains)
    rho = balancing_parameters(run.model.extractor)
    before = values(run)
    gradients = inner_gradients(run.model.extractor, batch)
    moved, _ = inner_step(run.model.extractor, rho, batch, inner_lr=0.5)
    assert same(before, values(run))
    for name, r in rho.items():
        ours = r - 0.5 * sum(gradients[part][name] for part in INNER_LOSSES["all"])
        torch.testing.assert_close(ours, moved[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("deployed", [False, True])
def test_an_inner_step_is_looked_at_and_changes_nothing(run, people, deployed):
    before = values(run)
    effect = inner_step_effect(run, people, (0.0, 1e4), splits=3, deployed=deployed)
    assert same(before, values(run))
    assert effect.keys() == INNER_LOSSES.keys()
    for quantities in effect.values():
        for name, table in quantities.items():
            assert table.shape == (3, 3)
            assert torch.equal(table[:, 0], table[:, 1]), "a step of size 0"
            assert torch.equal(table[:, 0], effect["all"][name][:, 0]), "all start from one rho"
            assert name == "move" or ((table >= 0) & (table <= 1)).all()
        assert (quantities["move"][:, 0] == 0).all()
        assert (quantities["move"][:, 2] != 0).all()


def test_what_deployment_sees_is_not_what_the_meta_step_sees(run, people):
    def found(deployed: bool) -> float:
        effect = inner_step_effect(run, people, (), splits=1, deployed=deployed)
        return effect["all"]["mAP"].item()

    own, running = found(False), found(True)
    for name, buffer in run.model.extractor.named_buffers():
        if name.endswith("running_mean"):
            buffer += 1e4
    assert found(False) == own and found(True) < running


def test_an_inner_step_is_looked_at_on_the_runs_streets_only(run):
    with pytest.raises(ValueError, match="must come from the run's streets"):
        inner_step_effect(run, make_people(num_domains=3), (0.1,))


def test_changes_are_paired_over_splits_with_students_interval():
    table = torch.tensor([[0.5, 0.6, 0.5], [0.1, 0.2, 0.2], [0.3, 0.4, 0.1]])
    mean, low, high = analysis.inner_step_changes({"all": {"mAP": table}})["all"]["mAP"].T
    torch.testing.assert_close(mean, torch.tensor([0.1, -1 / 30]))
    deviation = torch.tensor([0.0, 0.1 * (7 / 3) ** 0.5])
    half = 4.302653 * deviation / 3**0.5  # t at 2 degrees of freedom
    torch.testing.assert_close(high - mean, half, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mean - low, half, atol=1e-5, rtol=1e-4)


def changes(**signs) -> dict[str, torch.Tensor]:
    """Changes at one step size, and at another by their signs: 0 is an interval that holds 0."""
    rows = dict.fromkeys(("move", "style", "identity", "mAP", "rank1"), 0) | signs
    found = {}
    for name, sign in rows.items():
        found[name] = torch.tensor([(0, -0.5, 0.5), (sign, sign - 0.5, sign + 0.5)])
    return found


@pytest.mark.parametrize(
    ("signs", "verdict", "harm"),
    [
        ({}, "nothing is certain", None),
        ({"mAP": 1}, "mAP higher", None),
        ({"move": -1, "identity": -1, "mAP": -1}, "toward IN, identity lower, mAP lower", 1),
        (
            {"move": -1, "style": -1, "identity": -1, "mAP": -1},
            "toward IN, style lower, identity lower, mAP lower: over-style-normalization",
            1,
        ),
        (
            {"move": 1, "style": 1, "mAP": -1},
            "toward BN, style higher, mAP lower: under-style-normalization",
            1,
        ),
        ({"move": 1, "style": 1, "mAP": 1}, "toward BN, style higher, mAP higher", None),
    ],
)
def test_a_verdict_names_what_is_certain_and_the_papers_word_where_all_of_it_is(
    signs, verdict, harm
):
    found = changes(**signs)
    assert analysis.inner_verdict(found, 0) == "nothing is certain"
    assert analysis.inner_verdict(found, 1) == verdict
    assert analysis.first_harm(found) == harm
