"""Signs of the inner gradients: pencil numbers, finite differences and brute force."""

import math

import pytest
import torch
from torch.nn import functional as F

from metabin.analysis import gradient_signs as signs
from metabin.analysis import gradient_study as study
from metabin.analysis import inner_gradients
from metabin.analysis.guard import changes_only
from metabin.losses import META_TRAIN, Criterion, scatter_loss
from metabin.networks.model import build_model
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.streets import World, make_streets

RHO = (0.7, 0.9)
BATCH = signs.two_channel_batch()


@pytest.fixture(scope="module")
def streets():
    return make_streets(World(height=32, width=16), range(5), num_ids=4, images_per_camera=2)


@pytest.fixture(scope="module")
def sides(streets):
    return study.batches_of(streets, 2, seed=0)


@pytest.fixture(scope="module")
def extractor():
    """A small network whose rho are between 0.3 and 1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build_model("bin", 1).extractor
        for rho in balancing_parameters(net).values():
            rho.data.uniform_(0.3, 1.0)
    return net.train()


def layer_means(gradients) -> torch.Tensor:
    return torch.stack([g.mean() for g in gradients.values()])


def arrow(gradients) -> torch.Tensor:
    """All layers' gradients in one."""
    return torch.cat(list(gradients.values()))


# ---- two channels --------------------------------------------------------------------


def slopes_of(rho, offset: float) -> dict[str, torch.Tensor]:
    """Gradient of each loss with respect to the two channels' rho."""
    found = inner_gradients(signs.TwoChannels(rho, offset).train(), BATCH)
    return {loss: gradient["norm.rho"] for loss, gradient in found.items()}


def test_the_two_channels_features_are_the_lessons_pencil_numbers():
    features = signs.TwoChannels(RHO, offset=3.0).train()(BATCH.images)
    first = [0.7 * (32 + 8) / 33, 0.9 * 7 / 25, 3.0]
    assert features[0].tolist() == pytest.approx(first) and features.shape == (8, 3)
    assert features[-1].tolist() == pytest.approx([-first[0], -first[1], 3.0])


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_the_two_channels_gradients_are_finite_differences(offset):
    def losses(rho):
        features = signs.TwoChannels(rho, offset).train()(BATCH.images)
        return META_TRAIN(features, None, BATCH)[1]

    found, step = slopes_of(RHO, offset), 1e-6
    for channel in range(2):
        up, down = list(RHO), list(RHO)
        up[channel] += step
        down[channel] -= step
        high, low = losses(up), losses(down)
        for loss, slopes in found.items():
            slope = (high[loss] - low[loss]).item() / (2 * step)
            assert slopes[channel].item() == pytest.approx(slope, abs=1e-7), loss


def test_without_a_common_part_style_goes_to_in_and_with_a_large_one_both_go_to_bn():
    alone, common = (slopes_of((1.0, 1.0), offset)["scatter"] for offset in (0.0, 30.0))
    assert alone[0] > 0 > alone[1] and (common < 0).all()
    spread = torch.tensor([(8 / 33) ** 2, 0.28**2]).double()
    expected = -spread / 30**2  # 1 - cos = spread / (2 offset^2)
    torch.testing.assert_close(common, expected, rtol=0.01, atol=0.0)


G, C, E = 32 / 33, 8 / 33, 7 / 25  # how far street, camera and person lie from the middle after BN


def by_hand(rho, offset):
    """Slopes of the three losses on two channels, by a pencil."""
    scatter, shuffle = [0.0, 0.0], [0.0, 0.0]
    for camera in (1, -1):  # the other street and the other person are mirror images
        u, c, v = rho[0] * (G + camera * C), rho[0] * G, rho[1] * E
        dot, picture, centroid = u * c + offset**2, u**2 + v**2 + offset**2, c**2 + offset**2
        cosine = dot / math.sqrt(picture * centroid)
        scatter[0] += cosine * (2 * u * c / dot - u**2 / picture - c**2 / centroid) / rho[0] / 2
        scatter[1] -= cosine * v**2 / picture / rho[1] / 2
        style, identity = 2 * G + (1 + camera) * C, 2 * E  # how far n- is in BN's channels
        distance = math.hypot(rho[0] * style, rho[1] * identity)
        weight = 1 / (1 + math.exp(rho[1] * identity - distance))  # softplus' slope
        shuffle[0] += weight * rho[0] * style**2 / distance / 2
        shuffle[1] += weight * (rho[1] * identity**2 / distance - identity) / 2
    return {"scatter": scatter, "shuffle": shuffle, "triplet": [2 * C, -2 * E]}


@pytest.mark.parametrize("rho", [(1.0, 1.0), (0.8, 0.9), (0.6, 0.5)])
@pytest.mark.parametrize("offset", [0.0, 1.0, 2.0])
def test_the_two_channels_gradients_are_the_pencils(rho, offset):
    found = slopes_of(rho, offset)
    for loss, slopes in by_hand(rho, offset).items():
        assert found[loss].tolist() == pytest.approx(slopes, abs=1e-6), loss


# ---- the rule ------------------------------------------------------------------------


def test_centre_and_spread_are_brute_forces():
    features = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).double() + 1
    domains = torch.arange(12) % 3
    centre, spread = signs.centre_and_spread(features, domains)
    for k in range(3):
        group = features[domains == k]
        axis = group.mean(0) / group.mean(0).norm()
        across = [(f - (f @ axis) * axis).norm() ** 2 for f in group]
        assert centre[k].item() == pytest.approx((group.mean(0).norm() ** 2).item())
        assert spread[k].item() == pytest.approx((sum(across) / len(across)).item())


def test_near_the_centroid_the_gradient_is_half_of_centres_minus_spreads_growth():
    channels = signs.TwoChannels(RHO, offset=30.0)
    found = signs.origin_study(channels, [(BATCH, BATCH)], origins=(0.0,))
    rule = (found["centre"] - found["spread"]) / 2
    torch.testing.assert_close(found["measured"], rule, rtol=0.01, atol=0.0)


def test_the_origin_is_where_the_cosine_is_measured_from(extractor, sides):
    found = signs.origin_study(extractor, sides, origins=(0.0, 0.5))["measured"]
    assert found.shape == (2, 2, 11)
    batch, rho = sides[1][0], balancing_parameters(extractor)
    for row, origin in zip(found, (0.0, 0.5), strict=True):
        with frozen_running_stats(extractor):
            features = extractor(batch.images)
        loss = scatter_loss(features - origin * features.mean(0).detach(), batch.domains)
        gradients = torch.autograd.grad(loss, list(rho.values()))
        torch.testing.assert_close(row[1], torch.stack([g.mean() for g in gradients]))


def test_the_mean_cosine_is_over_pairs_of_different_pictures():
    features = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 2.0]])
    assert signs.mean_cosine(features) == pytest.approx((0 + 2 * 0.5**0.5) / 3)


def test_without_the_last_relu_the_maps_are_those_that_it_would_see(extractor, sides):
    images, network = sides[0][0].images, signs.WithoutLastReLU(extractor)
    with frozen_running_stats(extractor):
        maps, features, clipped = network.maps(images), network(images), extractor(images)
    torch.testing.assert_close(maps.relu().mean((2, 3)), clipped)
    torch.testing.assert_close(maps.mean((2, 3)), features)
    names = [name.removeprefix("extractor.") for name in balancing_parameters(network)]
    assert names == list(balancing_parameters(extractor)) and (maps < 0).any()


def test_the_triplet_terms_differ_by_the_triplet_gradient(extractor, sides):
    found = signs.triplet_terms(extractor, sides)
    gradients = [inner_gradients(extractor, batch)["triplet"] for batch, _ in sides]
    expected = torch.stack(list(map(layer_means, gradients)))
    difference = found["positive"] - found["negative"]
    torch.testing.assert_close(difference, expected, rtol=1e-3, atol=1e-6)
    features = extractor(sides[0][0].images).detach()
    pids, distances = sides[0][0].pids, torch.cdist(features, features)
    open_hinges = 0
    for i, row in enumerate(distances):
        open_hinges += (row[pids == pids[i]].max() - row[pids != pids[i]].min() + 0.3).item() > 0
    assert found["active"][0].item() == pytest.approx(open_hinges / len(pids))


# ---- directions ----------------------------------------------------------------------


def test_all_rho_are_set_in_a_copy(extractor):
    with changes_only(extractor):
        half = study.with_rho(extractor, 0.5)
    assert all((rho == 0.5).all() for rho in balancing_parameters(half).values())


def test_directions_are_means_and_shares_over_channels_in_whatever_mode_the_network_is(
    extractor, sides
):
    with changes_only(extractor):
        found = study.directions(extractor.eval(), sides)
    for number, (batch, _) in enumerate(sides):
        for loss, gradients in inner_gradients(extractor.train(), batch).items():
            torch.testing.assert_close(found[loss]["mean"][number], layer_means(gradients))
            shares = [(g > 0).sum().item() / len(g) for g in gradients.values()]
            assert found[loss]["positive"][number].tolist() == pytest.approx(shares)


def test_held_statistics_and_another_criterion_are_used(extractor, sides):
    scatter = Criterion("scatter")
    own, held = (study.directions(extractor, sides, scatter, held) for held in (False, True))
    assert own.keys() == {"scatter"}
    assert not torch.allclose(own["scatter"]["mean"], held["scatter"]["mean"])


def test_agreement_holds_cosines_and_lengths_over_all_channels(extractor, sides):
    found = study.agreement(extractor, sides)
    meta_train, meta_test = sides[0]
    arrows = {k: arrow(g) for k, g in inner_gradients(extractor, meta_train).items()}
    arrows["sum"] = arrows["scatter"] + arrows["shuffle"] + arrows["triplet"]
    outer = inner_gradients(extractor, meta_test, Criterion("triplet"))
    arrows["outer"] = arrow(outer["triplet"])
    for a, b in (("scatter", "shuffle"), ("scatter", "triplet"), ("sum", "outer")):
        expected = F.cosine_similarity(arrows[a], arrows[b], dim=0).item()
        assert found[f"{a}, {b}"][0].item() == pytest.approx(expected, abs=1e-4)
    assert found["sum"].shape == (2,)
    assert found["sum"][0].item() == pytest.approx(arrows["sum"].norm().item(), rel=1e-4)


def test_a_vanishing_inner_step_leaves_the_outer_gradient_and_a_long_one_turns_it(extractor, sides):
    found = study.outer_changes(extractor, sides, step_sizes=(1e-6, 10.0))
    assert found.shape == (2, 2) and (found[:, 0] > 0.999).all() and (found[:, 1] < 0.999).all()


# ---- the report ----------------------------------------------------------------------


def test_a_networks_report_holds_its_directions(monkeypatch, streets, extractor):
    monkeypatch.setattr(study, "BATCHES", 4)
    measured = study.gradient_study(extractor, streets)
    sides = study.batches_of(streets, 4, study.SEED)
    for loss, found in study.directions(extractor, sides).items():
        means = [mean for mean, *_ in measured["layers"][loss]]
        assert means == pytest.approx(found["mean"].mean(0).tolist(), rel=1e-3)
    assert torch.tensor(measured["origins"]["centre"]).shape == (len(signs.ORIGINS), 11, 3)
    assert torch.tensor(measured["outer_changes"]).shape == (len(study.STEPS), 3)
    assert measured["silent"] == 0  # an untrained network's hinges are open
