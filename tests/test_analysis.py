"""What the balancing parameters do, in numbers."""

import pytest
import torch
from conftest import make_people

from metabin import analysis
from metabin.analysis import (
    INNER_LOSSES,
    first_harm,
    inner_gradients,
    inner_step_changes,
    inner_step_effect,
    inner_verdict,
    read_linearly,
    rho_summary,
)
from metabin.analysis.oracle import oracle_rho
from metabin.data.augment import normalize
from metabin.losses import triplet_loss
from metabin.meta import inner_step
from metabin.networks.model import build_model
from metabin.networks.normalizations import NORMS
from metabin.norm import balancing_parameters
from metabin.samplers import Batch
from metabin.train import Run, train


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
    return sum(
        triplet_loss(features[people.domains == d], people.pids[people.domains == d]).item()
        for d in (0, 1)
    )


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


# ---- a training run, and what its inner step does ------------------------------------------------------------------


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
    tensors = [
        *state["model"].values(),
        *momenta,
        *state["base_batches"],
        *state["meta_batches"],
        modes,
    ]
    return [tensor.clone() for tensor in tensors]


def same(before, after) -> bool:
    return len(before) == len(after) and all(
        torch.equal(a, b) for a, b in zip(before, after, strict=True)
    )


def test_a_summary_of_rho_holds_mean_and_quartiles_of_each_layer_and_of_all():
    layers = torch.nn.Module()
    for name, rho in {"one": [0.0, 1.0, 0.5, 0.5, 0.25], "two": [1.0, 1.0, 1.0]}.items():
        layer = torch.nn.Module()
        layer.rho = torch.nn.Parameter(torch.tensor(rho))
        setattr(layers, name, layer)
    expected = [[0.45, 0.25, 0.5, 0.5], [1, 1, 1, 1], [5.25 / 8, 0.4375, 0.75, 1.0]]
    torch.testing.assert_close(rho_summary(layers), torch.tensor(expected))


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


def test_a_linear_probe_reads_as_often_right_as_the_closed_form_of_ridge_regression():
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (300,), generator=draw) * 10
    features = torch.randn(300, 7, generator=draw) * 3 + torch.eye(7)[labels // 10] * 4
    train = torch.rand(300, generator=draw) < 0.6
    var, mean = torch.var_mean(features[train], 0, correction=0)
    scaled = ((features - mean) / var.sqrt()).double()  # (N, D)
    wanted = torch.nn.functional.one_hot(labels[train] // 10).double()  # (N, 4)
    x, level = scaled[train], wanted.mean(0)
    weights = torch.linalg.solve(x.T @ x + torch.eye(7).double(), x.T @ (wanted - level))
    right = (scaled[~train] @ weights + level).argmax(1) * 10 == labels[~train]
    expected = right.double().mean().item()
    assert 0.5 < expected < 1
    assert read_linearly(features, labels, train) == pytest.approx(expected)


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
            assert torch.equal(table[:, 0], effect["all"][name][:, 0]), (
                "every loss starts from the same rho"
            )
            assert name == "move" or ((table >= 0) & (table <= 1)).all()
        assert (quantities["move"][:, 0] == 0).all()
        assert (quantities["move"][:, 2] != 0).all()


def test_what_deployment_sees_is_not_what_the_meta_step_sees(run, people):
    def found():
        return [
            inner_step_effect(run, people, (), splits=1, deployed=d)["all"]["mAP"].item()
            for d in (False, True)
        ]

    own, running = found()
    for name, buffer in run.model.extractor.named_buffers():
        if name.endswith("running_mean"):
            buffer += 1e4
    assert found()[0] == own
    assert found()[1] < running


def test_an_inner_step_is_looked_at_on_the_runs_streets_only(run):
    with pytest.raises(ValueError, match="must come from the run's streets"):
        inner_step_effect(run, make_people(num_domains=3), (0.1,))


def test_changes_are_paired_over_splits_with_students_interval():
    table = torch.tensor([[0.5, 0.6, 0.5], [0.1, 0.2, 0.2], [0.3, 0.4, 0.1]])
    mean, low, high = inner_step_changes({"all": {"mAP": table}})["all"]["mAP"].T
    torch.testing.assert_close(mean, torch.tensor([0.1, -1 / 30]))
    half = 4.302653 * torch.tensor(
        [0.0, 0.1 * (7 / 3) ** 0.5 / 3**0.5]
    )  # t at 2 degrees of freedom
    torch.testing.assert_close(high - mean, half, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mean - low, half, atol=1e-5, rtol=1e-4)


def changes(**rows) -> dict[str, torch.Tensor]:
    """Changes at two step sizes by their signs: 0 is an interval that holds 0."""
    signs = {"move": (0, 0), "style": (0, 0), "identity": (0, 0), "mAP": (0, 0), "rank1": (0, 0)}
    return {
        name: torch.tensor([(sign, sign - 0.5, sign + 0.5) for sign in pair])
        for name, pair in (signs | rows).items()
    }


def test_harm_begins_where_the_interval_of_map_is_first_below_zero():
    assert first_harm(changes()) is None
    assert first_harm(changes(mAP=(1, 1))) is None
    assert first_harm(changes(mAP=(0, -1))) == 1
    assert first_harm(changes(mAP=(-1, -1))) == 0


def test_a_verdict_names_what_is_certain_and_the_papers_word_only_where_all_of_it_is():
    lost = {"style": (0, -1), "identity": (-1, -1), "mAP": (-1, -1)}
    over, under = changes(move=(-1, -1), **lost), changes(move=(1, 1), style=(1, 1), mAP=(-1, 1))
    words = {
        (0, "over"): "toward IN, identity lower, mAP lower",
        (1, "over"): "toward IN, style lower, identity lower, mAP lower: over-style-normalization",
        (0, "under"): "toward BN, style higher, mAP lower: under-style-normalization",
        (1, "under"): "toward BN, style higher, mAP higher",
    }
    for (size, name), expected in words.items():
        assert inner_verdict({"over": over, "under": under}[name], size) == expected
    assert inner_verdict(changes(), 0) == "nothing is certain"


# ---- style and identity, read from features ------------------------------------------------------------------------


def test_a_camera_of_a_style_does_what_its_style_says(people):
    pictures = people.images[:4]
    neutral, red, dark = (
        analysis.restyle(pictures, **style) for style in ({}, {"gain_red": 0.3}, {"gamma": 0.8})
    )
    assert neutral.shape == pictures.shape and neutral.dtype == torch.uint8
    assert torch.equal(neutral, analysis.restyle(pictures))
    assert (
        neutral.float().mean() - pictures.float().mean()
    ).abs() < 10  # exposure and a little haze
    ratio = red.float().mean((0, 2, 3)) / neutral.float().mean((0, 2, 3))
    assert ratio[0] > 1.1 and ratio[1:].tolist() == pytest.approx([1, 1], abs=0.01)
    assert dark.float().mean() < 0.9 * neutral.float().mean()
    with pytest.raises(ValueError, match="unknown style hue"):
        analysis.restyle(pictures, hue=1.0)


def test_styles_are_drawn_as_far_apart_as_is_said():
    weak, strong = (analysis.random_styles(200, strength) for strength in (0.5, 1.0))
    spread = [
        torch.tensor([style["gamma"] for style in styles]).std().item() for styles in (weak, strong)
    ]
    assert spread == pytest.approx([0.065, 0.13], rel=0.15)
    assert len({style["blur"] for style in analysis.random_styles(3, 0.0)}) == 1


def test_every_picture_is_crossed_with_every_style(people):
    crossed = analysis.cross_styles(people[:6], analysis.random_styles(3))
    assert (len(crossed), crossed.num_domains) == (18, 3)
    assert crossed.domains.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert torch.equal(crossed.pids, people.pids[:6].repeat(3))


@pytest.mark.parametrize(
    "norm", sorted(NORMS.keys() - {"dualnorm"})
)  # which adds two and renames the blocks before them
def test_the_norm_layers_of_every_network_are_the_same_eleven_places(norm):
    assert analysis.norm_layers(build_model(norm, 2)).keys() - {"neck"} == analysis.norm_layers(
        build_model("bn", 2)
    ).keys() - {"neck"}
    assert len(analysis.norm_layers(build_model(norm, 2).extractor)) == 11


def test_a_layers_features_are_means_and_deviations_of_its_bands(people):
    model = build_model("bn", 2)
    seen = []
    handle = model.extractor[0][0][1].register_forward_hook(
        lambda layer, inputs, output: seen.append(output)
    )
    found = analysis.layer_features(model, people[:5])["0.0.1"]
    handle.remove()
    [output] = seen  # (5, 16, 16, 8)
    bands = output.reshape(5, 16, 4, 4, 8).flatten(3)  # (5, 16, 4, 32)
    means, deviations = found.view(5, 2, 16, 4).unbind(1)
    torch.testing.assert_close(means, bands.mean(3))
    torch.testing.assert_close(deviations, bands.std(3, correction=0), rtol=1e-3, atol=1e-4)
    assert model.training and not any(module._forward_hooks for module in model.modules())


def test_style_is_read_better_after_bn_than_after_in(people):
    crossed = analysis.cross_styles(people, analysis.random_styles(4, 2.0))
    read = []
    for norm in ("bn", "in"):
        with torch.random.fork_rng():
            torch.manual_seed(0)  # the same weights for both
            read.append(analysis.style_and_identity(build_model(norm, 2), crossed)["0.0.1"])
    bn, in_ = read
    assert bn["style"] > in_["style"] + 0.05
    assert bn.keys() == analysis.chance(crossed).keys()
    assert all(0 <= value <= 1 for value in bn.values())


# ---- rho's distribution, features in the plane --------------------------------------------------------------------


def test_a_distribution_counts_a_layers_channels_in_equal_parts_of_the_range():
    extractor = build_model("bin", 2).extractor
    layers = list(balancing_parameters(extractor).values())
    with torch.no_grad():
        layers[0].copy_(torch.linspace(0, 1, 16))
        layers[1].fill_(0.55)
    shares = analysis.rho_distribution(extractor, bins=4)
    assert shares.shape == (11, 4) and torch.allclose(shares.sum(1), torch.ones(11))
    assert (
        shares[0].tolist() == [0.25] * 4
        and shares[1].tolist() == [0, 0, 1, 0]
        and shares[2].tolist() == [0, 0, 0, 1]
    )


def test_groups_that_are_apart_stay_apart_in_the_plane_and_the_seed_decides():
    draw = torch.Generator().manual_seed(0)
    groups = torch.arange(3).repeat_interleave(12)
    features = torch.eye(8)[groups] * 5 + 0.1 * torch.randn(36, 8, generator=draw)
    placed, again = (analysis.embed_in_plane(features, perplexity=8) for _ in range(2))
    assert placed.shape == (36, 2) and torch.equal(placed, again)
    distances = torch.cdist(placed, placed).fill_diagonal_(float("inf"))
    assert torch.equal(groups[distances.argmin(1)], groups)
    with pytest.raises(ValueError, match="perplexity=30.0 must be below"):
        analysis.embed_in_plane(features[:20])
