"""Signs of the inner gradients: pencil numbers and finite differences on two channels, brute force on a small network."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from metabin.analysis import gradient_signs as signs
from metabin.analysis import gradient_study as study
from metabin.analysis import inner_gradients
from metabin.experiments import lesson_streets, pictures, read_results
from metabin.losses import META_TRAIN, Criterion, scatter_loss
from metabin.networks.model import build_model
from metabin.norm import balancing_parameters, frozen_running_stats
from metabin.runs.checkpoints import save_model
from metabin.streets import World, make_streets

RHO = (0.7, 0.9)


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


# ---- two channels ---------------------------------------------------------------------------------------------------


def test_the_two_channels_features_are_the_lessons_pencil_numbers():
    batch = signs.two_channel_batch()
    features = signs.TwoChannels(RHO, offset=3.0).train()(batch.images)
    first = [0.7 * (32 + 8) / 33, 0.9 * 7 / 25, 3.0]
    assert features[0].tolist() == pytest.approx(first) and features.shape == (8, 3)
    assert features[-1].tolist() == pytest.approx([-first[0], -first[1], 3.0])


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_the_two_channels_gradients_are_finite_differences(offset):
    batch, step = signs.two_channel_batch(), 1e-6
    found = inner_gradients(signs.TwoChannels(RHO, offset).train(), batch)

    def losses(rho):
        return META_TRAIN(signs.TwoChannels(rho, offset).train()(batch.images), None, batch)[1]

    for channel in range(2):
        up, down = (
            [r + sign * step * (i == channel) for i, r in enumerate(RHO)] for sign in (1, -1)
        )
        for loss, high in losses(up).items():
            slope = (high - losses(down)[loss]).item() / (2 * step)
            assert found[loss]["norm.rho"][channel].item() == pytest.approx(slope, abs=1e-7), loss


def test_without_a_common_part_the_style_channel_goes_to_in_and_with_a_large_one_both_go_to_bn():
    batch = signs.two_channel_batch()
    alone, common = (
        inner_gradients(signs.TwoChannels(offset=o).train(), batch)["scatter"]["norm.rho"]
        for o in (0, 30)
    )
    assert alone[0] > 0 > alone[1] and (common < 0).all()
    expected = torch.tensor([(8 / 33) ** 2, 0.28**2]).double() / -(
        30**2
    )  # 1 - cos = spread / (2 offset^2)
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
    found = inner_gradients(signs.TwoChannels(rho, offset).train(), signs.two_channel_batch())
    for loss, slopes in by_hand(rho, offset).items():
        assert found[loss]["norm.rho"].tolist() == pytest.approx(slopes, abs=1e-6), loss


# ---- the rule -------------------------------------------------------------------------------------------------------


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
    batch = signs.two_channel_batch()
    found = signs.origin_study(
        signs.TwoChannels(RHO, offset=30.0), [(batch, batch)], origins=(0.0,)
    )
    torch.testing.assert_close(
        found["measured"], (found["centre"] - found["spread"]) / 2, rtol=0.01, atol=0.0
    )


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


@pytest.mark.parametrize("moment", ["10 %", "end"])
def test_the_committed_gradients_are_those_of_the_committed_networks(moment):
    images = lesson_streets().train_set()
    network = pictures.figure5_network(moment, images)
    found = study.directions(network, study.batches_of(images, study.BATCHES, study.SEED))
    for loss, rows in read_results("figure5")["first"][moment].items():
        committed = torch.tensor([mean for mean, *_ in rows])
        apart = (found[loss]["mean"].mean(0) - committed).abs().max()
        assert apart < 0.05 * committed.abs().max(), loss


def test_the_triplet_terms_differ_by_the_triplet_gradient(extractor, sides):
    found = signs.triplet_terms(extractor, sides)
    expected = torch.stack(
        [layer_means(inner_gradients(extractor, batch)["triplet"]) for batch, _ in sides]
    )
    torch.testing.assert_close(
        found["positive"] - found["negative"], expected, rtol=1e-3, atol=1e-6
    )
    features = extractor(sides[0][0].images).detach()
    pids, distances = sides[0][0].pids, torch.cdist(features, features)
    open_hinges = 0
    for i, row in enumerate(distances):
        open_hinges += (row[pids == pids[i]].max() - row[pids != pids[i]].min() + 0.3).item() > 0
    assert found["active"][0].item() == pytest.approx(open_hinges / len(pids))


# ---- directions -----------------------------------------------------------------------------------------------------


def test_all_rho_are_set_in_a_copy(extractor):
    before = [rho.clone() for rho in balancing_parameters(extractor).values()]
    half = study.with_rho(extractor, 0.5)
    assert all((rho == 0.5).all() for rho in balancing_parameters(half).values())
    assert all(map(torch.equal, before, balancing_parameters(extractor).values()))


def test_directions_are_means_and_shares_over_channels_in_whatever_mode_the_network_is(
    extractor, sides
):
    net = copy.deepcopy(extractor).eval()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    found = study.directions(net, sides)
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    for number, (batch, _) in enumerate(sides):
        for loss, gradients in inner_gradients(extractor, batch).items():
            torch.testing.assert_close(found[loss]["mean"][number], layer_means(gradients))
            shares = [(g > 0).sum().item() / len(g) for g in gradients.values()]
            assert found[loss]["positive"][number].tolist() == pytest.approx(shares)


def test_held_statistics_and_another_criterion_are_used(extractor, sides):
    net, scatter = copy.deepcopy(extractor), Criterion("scatter")
    own, held = (study.directions(net, sides, scatter, held) for held in (False, True))
    assert own.keys() == {"scatter"}
    assert not torch.allclose(own["scatter"]["mean"], held["scatter"]["mean"])


def test_agreement_holds_cosines_and_lengths_over_all_channels(extractor, sides):
    found = study.agreement(extractor, sides)
    parts = {
        k: torch.cat(list(v.values())) for k, v in inner_gradients(extractor, sides[0][0]).items()
    }
    whole = parts["scatter"] + parts["shuffle"] + parts["triplet"]
    outer = torch.cat(
        list(inner_gradients(extractor, sides[0][1], Criterion("triplet"))["triplet"].values())
    )
    for name, (a, b) in {
        "scatter, shuffle": ("scatter", "shuffle"),
        "scatter, triplet": ("scatter", "triplet"),
    }.items():
        assert found[name][0].item() == pytest.approx(
            F.cosine_similarity(parts[a], parts[b], dim=0).item(), abs=1e-4
        )
    assert found["sum, outer"][0].item() == pytest.approx(
        F.cosine_similarity(whole, outer, dim=0).item(), abs=1e-4
    )
    assert found["sum"][0].item() == pytest.approx(whole.norm().item(), rel=1e-4) and found[
        "sum"
    ].shape == (2,)


def test_a_vanishing_inner_step_leaves_the_outer_gradient_and_a_long_one_turns_it(extractor, sides):
    found = study.outer_changes(extractor, sides, step_sizes=(1e-6, 10.0))
    assert found.shape == (2, 2) and (found[:, 0] > 0.999).all() and (found[:, 1] < 0.999).all()


# ---- the report -----------------------------------------------------------------------------------------------------


def test_an_interval_is_students_over_the_first_dimension():
    samples = torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    (first, second) = study.intervals(samples)
    assert first == pytest.approx(
        [2.0, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5], abs=1e-3
    )  # t at 97.5 %, 2 degrees
    assert second == [5.0, 5.0, 5.0]


def test_an_interval_leaves_out_batches_in_which_a_gradient_has_no_direction():
    arrow, none = torch.tensor([3.0, 4.0]), torch.zeros(2)
    assert study.cosine(arrow, 2 * arrow).item() == pytest.approx(1)
    assert study.cosine(arrow, none).isnan() and study.cosine(none, none).isnan()
    known = torch.tensor([0.1, 0.5, 0.3])
    with_gaps = torch.stack([study.cosine(none, arrow), *known, study.cosine(arrow, none)])
    assert study.intervals(with_gaps) == study.intervals(known)


def test_signs_are_those_that_intervals_allow():
    assert study.signs([[1, 0.5, 2], [-1, -2, -0.1], [0.1, -0.1, 0.3]]) == [1, -1, 0]


def test_several_trainings_are_joined_by_means_and_a_single_one_stays():
    runs = [{"rho": 0.4, "layers": {"a": [[1.0, 0.9, 1.1], [3.0, 0, 4]]}}]
    assert study.over_trainings(runs) == runs[0]
    joined = study.over_trainings(
        [*runs, {"rho": 0.6, "layers": {"a": [[2.0, 1.9, 2.1], [3.0, 1, 5]]}}]
    )
    assert joined["rho"] == pytest.approx(0.5)
    assert joined["layers"]["a"][0] == pytest.approx(
        [1.5, 1.5 - 12.706 * 0.5, 1.5 + 12.706 * 0.5], rel=1e-3
    )
    assert joined["layers"]["a"][1] == [3.0, 3.0, 3.0]


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


def test_figure5_joins_the_trainings_that_there_are_and_says_what_its_intervals_are_over(
    monkeypatch, tmp_path
):
    asked = []

    def one(moment, seed, folder):
        asked.append((moment, seed, folder))
        layers = dict.fromkeys(study.PARTS, [[float(seed), 0.0, 9.0]])
        return {"rho": seed / 10, "layers": layers}

    monkeypatch.setattr(pictures, "_measured", one)
    report = pictures.figure5_report(5, 1, {1: tmp_path / "a", 3: tmp_path / "b"})
    assert asked == [
        (m, s, tmp_path / f) for m in pictures.MOMENTS for s, f in ((1, "a"), (3, "b"))
    ]
    assert report["trainings"] == [1, 3] and report["interval_over"] == "trainings"
    assert report["moments"]["end"]["rho"] == pytest.approx(0.2)
    assert report["moments"]["end"]["layers"]["shuffle"][0][0] == 2.0
    assert report["first"]["end"]["shuffle"] == [[1.0, 0.0, 9.0]]
    assert report["worlds"] == report["seeds"] == [1, 3]
    alone = pictures.figure5_report(1, 1, {1: tmp_path, 3: tmp_path})
    assert alone["interval_over"] == "batches" and alone["moments"]["end"]["layers"]["shuffle"] == [
        [1.0, 0.0, 9.0]
    ]


def test_the_networks_of_a_training_are_found_by_their_moment_and_missed_by_name(
    monkeypatch, streets, tmp_path
):
    model = build_model("bin", 1)
    for rho in balancing_parameters(model).values():
        rho.data.fill_(0.25)
    save_model(tmp_path / "metabin.safetensors", model, "bin")
    end = pictures.figure5_network("end", streets, tmp_path)
    assert all((rho == 0.25).all() for rho in balancing_parameters(end).values())
    with pytest.raises(FileNotFoundError, match="metabin_at_10"):
        pictures.figure5_network("10 %", streets, tmp_path)


def test_the_text_counts_layers_and_compares_with_the_papers_signs():
    rows = {
        "scatter": [[-1, -2, -0.5]] * 2,
        "shuffle": [[1, 0.5, 2]] * 2,
        "triplet": [[-1, -2, -0.5], [1, -1, 3]],
    }
    positive, lengths = (
        {part: [[0.25, 0, 1]] * 2 for part in rows},
        {part: [0.5, 0, 1] for part in rows},
    )
    found = {"layers": rows, "positive": positive, "agreement": lengths}
    text = pictures.figure5_text(
        {"trainings": [1], "interval_over": "batches", "moments": {"end": found}}
    )
    assert "| end | scatter | 0 | 2 | 0 | 25 % | 0.5 | no |" in text
    assert "| end | shuffle | 2 | 0 | 0 | 25 % | 0.5 | yes |" in text
    assert "| end | triplet | 0 | 1 | 1 | 25 % | 0.5 | partly |" in text
