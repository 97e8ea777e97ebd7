"""What the balancing parameters do, in numbers; style and identity, read from features."""

import pytest
import torch
from conftest import make_people
from torch import nn

from metabin import analysis
from metabin.analysis.guard import changes_only
from metabin.analysis.oracle import oracle_rho
from metabin.data.augment import normalize
from metabin.losses import triplet_loss
from metabin.networks.model import build_model
from metabin.networks.normalizations import NORMS
from metabin.norm import balancing_parameters


def small_model(norm: str = "bin", num_ids: int = 2):
    """A network whose weights are always the same."""
    return build_model(norm, num_ids, seed=0)


# ---- rho -----------------------------------------------------------------------------


def test_a_summary_of_rho_holds_mean_and_quartiles_of_each_layer_and_of_all():
    layers = [torch.tensor([0.0, 1.0, 0.5, 0.5, 0.25]), torch.tensor([1.0, 1.0, 1.0])]
    expected = [[0.45, 0.25, 0.5, 0.5], [1, 1, 1, 1], [5.25 / 8, 0.4375, 0.75, 1.0]]
    torch.testing.assert_close(analysis.rho_summary(layers), torch.tensor(expected))


def test_a_distribution_counts_a_layers_channels_in_equal_parts_of_the_range():
    extractor = small_model().extractor
    layers = list(balancing_parameters(extractor).values())
    with torch.no_grad():
        layers[0].copy_(torch.linspace(0, 1, 16))
        layers[1].fill_(0.55)
    shares = analysis.rho_distribution(extractor, bins=4)
    assert shares.shape == (11, 4) and torch.allclose(shares.sum(1), torch.ones(11))
    assert shares[:3].tolist() == [[0.25] * 4, [0, 0, 1, 0], [0, 0, 0, 1]]


def test_the_parts_of_a_bar_are_its_halves_and_its_ends():
    parts = analysis.parts_of([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])
    assert parts["to IN"] == pytest.approx([0.3, 1]) and parts["to BN"] == pytest.approx([0.7, 0])
    assert parts["almost IN"] == [0.1, 1.0] and parts["almost BN"] == [0.4, 0.0]


def test_a_drop_that_rebounds_is_negative_first_and_positive_later():
    moments = [[1.0, 1.0], [0.25, 0.75], [0.5, 0.5]]  # of two layers
    change = analysis.turns(torch.tensor([moments]), early=1)
    assert change["first"].tolist() == [[-0.75, -0.25]]
    assert change["later"].tolist() == [[0.25, -0.25]]


def test_the_oracle_stays_between_in_and_bn_finds_people_better_and_leaves_the_model():
    people, model = make_people(num_domains=2), small_model(num_ids=16)

    def loss() -> float:
        with torch.no_grad():
            features = model.eval().extractor(normalize(people.images))
        losses = []
        for here in (people.domains == 0, people.domains == 1):
            losses.append(triplet_loss(features[here], people.pids[here]).item())
        return sum(losses)

    with changes_only(model):
        rho = oracle_rho(model, people, steps=8)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert rho.keys() == balancing_parameters(model.extractor).keys()
    assert all(((r >= 0) & (r <= 1)).all() for r in rho.values())
    start = loss()
    model.extractor.load_state_dict(rho, strict=False)
    assert loss() < start


# ---- style and identity, read from features ------------------------------------------


def test_a_linear_probe_reads_as_often_right_as_the_closed_form_of_ridge_regression():
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (300,), generator=draw) * 10
    features = torch.randn(300, 7, generator=draw) * 3 + torch.eye(7)[labels // 10] * 4
    train = torch.rand(300, generator=draw) < 0.6
    var, mean = torch.var_mean(features[train], 0, correction=0)
    scaled = ((features - mean) / var.sqrt()).double()  # (N, D)
    wanted = nn.functional.one_hot(labels[train] // 10).double()  # (N, 4)
    x, level = scaled[train], wanted.mean(0)
    weights = torch.linalg.solve(x.T @ x + torch.eye(7).double(), x.T @ (wanted - level))
    right = (scaled[~train] @ weights + level).argmax(1) * 10 == labels[~train]
    expected = right.double().mean().item()
    assert 0.5 < expected < 1
    assert analysis.read_linearly(features, labels, train) == pytest.approx(expected)


def test_a_camera_of_a_style_does_what_its_style_says(people):
    pictures = people.images[:4]
    styles = {}, {"gain_red": 0.3}, {"gamma": 0.8}
    neutral, red, dark = (analysis.restyle(pictures, **style) for style in styles)
    assert neutral.shape == pictures.shape and neutral.dtype == torch.uint8
    assert torch.equal(neutral, analysis.restyle(pictures))
    change = neutral.float().mean() - pictures.float().mean()
    assert change.abs() < 10  # exposure and a little haze
    ratio = red.float().mean((0, 2, 3)) / neutral.float().mean((0, 2, 3))
    assert ratio[0] > 1.1 and ratio[1:].tolist() == pytest.approx([1, 1], abs=0.01)
    assert dark.float().mean() < 0.9 * neutral.float().mean()
    with pytest.raises(ValueError, match="unknown style hue"):
        analysis.restyle(pictures, hue=1.0)


@pytest.mark.parametrize(("strength", "spread"), [(0.0, 0.0), (0.5, 0.065), (1.0, 0.13)])
def test_styles_are_drawn_as_far_apart_as_is_said(strength, spread):
    gammas = torch.tensor([style["gamma"] for style in analysis.random_styles(200, strength)])
    assert gammas.std().item() == pytest.approx(spread, rel=0.15, abs=1e-6)


def test_every_picture_is_crossed_with_every_style(people):
    crossed = analysis.cross_styles(people[:6], analysis.random_styles(3))
    assert (len(crossed), crossed.num_domains) == (18, 3)
    assert crossed.domains.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert torch.equal(crossed.pids, people.pids[:6].repeat(3))


# "dualnorm" adds two and renames the blocks before them
@pytest.mark.parametrize("norm", sorted(NORMS.keys() - {"dualnorm"}))
def test_the_norm_layers_of_every_network_are_the_same_eleven_places(norm):
    found, plain = (analysis.norm_layers(small_model(kind)) for kind in (norm, "bn"))
    assert found.keys() - {"neck"} == plain.keys() - {"neck"}
    assert len(analysis.norm_layers(small_model(norm).extractor)) == 11


def test_a_layers_features_are_means_and_deviations_of_its_bands(people):
    model, seen = small_model("bn"), []
    layer = model.extractor[0][0][1]
    handle = layer.register_forward_hook(lambda layer, inputs, output: seen.append(output))
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
    bn, in_ = (
        analysis.style_and_identity(small_model(norm), crossed)["0.0.1"] for norm in ("bn", "in")
    )
    assert bn["style"] > in_["style"] + 0.05
    assert bn.keys() == analysis.chance(crossed).keys()
    assert all(0 <= value <= 1 for value in bn.values())
