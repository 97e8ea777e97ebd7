"""rho under the knife, and what channels carry: against networks without rho, loops and SciPy."""

from dataclasses import replace

import pytest
import torch
from conftest import make_people
from scipy.stats import spearmanr

from metabin.analysis import rho_study as study
from metabin.analysis import rho_summary
from metabin.analysis.guard import changes_only
from metabin.analysis.networks import ON_THE_WAY, load_network
from metabin.data.augment import normalize
from metabin.evaluate.retrieval import evaluate
from metabin.experiments import read_results
from metabin.networks.model import build_model
from metabin.norm import balancing_parameters
from metabin.streets import World

STREETS = make_people(num_domains=2, ids=5)
RHO = {"a.rho": torch.tensor([0.9, 0.1, 0.6]), "b.rho": torch.tensor([0.0, 1.0])}


def plain(rho) -> list[float]:
    """The values of all layers, to six digits."""
    return [round(value, 6) for value in torch.cat(list(rho.values())).tolist()]


@pytest.fixture
def model():
    """A BIN network that has seen a few pictures; rho, affine pairs and statistics all differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model("bin", 10)
        model.train().extractor(normalize(STREETS.images))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name or "rho" in name or "in_" in name:
                    parameter.copy_(torch.rand_like(parameter) * 0.8 + 0.1)
    return model.eval()


def plain_twin(model, norm: str):
    """The same weights in a network that has only the one branch."""
    twin, state = build_model(norm, 10), model.state_dict()
    if norm == "in":  # the IN branch's affine pair takes the plain names; IN keeps no statistics
        for name in list(state):
            if ".in_" in name:
                state[name.replace(".in_", ".")] = state.pop(name)
    twin.load_state_dict({name: state[name] for name in twin.state_dict()})
    return twin.eval()


# ---- surgery -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (study.OPERATIONS["all BN"], [1, 1, 1]),
        (study.OPERATIONS["all IN"], [0, 0, 0]),
        (study.OPERATIONS["layer's mean"], [0.533333] * 3),
        (study.OPERATIONS["rounded"], [1, 0, 1]),
        (study.to_value(0.25), [0.25] * 3),
    ],
)
def test_an_operation_changes_the_named_layers_alone(operation, expected):
    assert plain(study.operated(RHO, operation, ["a.rho"])) == [*expected, 0, 1]
    assert plain(RHO) == [0.9, 0.1, 0.6, 0, 1]


def test_a_shuffle_keeps_a_layers_values_and_is_the_same_for_the_same_seed():
    rho = {"a.rho": torch.arange(40.0), "b.rho": torch.arange(40.0) + 100}
    one, two, other = (study.operated(rho, study.shuffled(seed)) for seed in (3, 3, 4))
    for name in rho:
        assert torch.equal(one[name].sort().values, rho[name]) and torch.equal(one[name], two[name])
        assert not torch.equal(one[name], rho[name]) and not torch.equal(one[name], other[name])


def test_the_highest_score_gets_the_lowest_of_the_layers_values():
    scores = {"a.rho": torch.tensor([5.0, 7.0, 6.0]), "b.rho": torch.tensor([2.0, 1.0])}
    assert plain(study.reassigned(RHO, scores)) == [0.9, 0.1, 0.6, 0, 1]
    lowest = {name: -score for name, score in scores.items()}
    assert plain(study.reassigned(RHO, lowest)) == [0.1, 0.9, 0.6, 1, 0]


def test_a_changed_rho_is_put_back_even_after_an_error(model):
    name = next(iter(study.rho_of(model)))
    with changes_only(model), pytest.raises(KeyboardInterrupt):
        with study.rho_set(model, {name: torch.zeros(16)}):
            assert not balancing_parameters(model.extractor)[name].any()
            raise KeyboardInterrupt
    with pytest.raises(ValueError, match="no balancing parameters elsewhere.rho"):
        with study.rho_set(model, {"elsewhere.rho": torch.zeros(1)}):
            pass


@pytest.mark.parametrize(("name", "norm"), [("all BN", "bn"), ("all IN", "in")])
def test_all_bn_and_all_in_are_the_networks_that_have_one_branch(model, name, norm):
    rho = study.rho_of(model)
    changed = {"own": rho, name: study.operated(rho, study.OPERATIONS[name])}
    with changes_only(model):
        found = study.surgery(model, STREETS, changed)
    first = STREETS.camids == 0
    for street in (0, 1):
        here = STREETS.domains == street
        sides = STREETS[here & first], STREETS[here & ~first]
        expected = evaluate(plain_twin(model, norm), *sides).mAP
        assert found[name][street].item() == pytest.approx(expected, abs=1e-6)
        assert found["own"][street].item() == pytest.approx(evaluate(model, *sides).mAP)


def test_settled_statistics_are_the_means_over_whole_batches(model):
    zero = study.operated(study.rho_of(model), torch.zeros_like)
    with changes_only(model):
        settled = study.resettled(model, zero, STREETS, batch_size=16, seed=5)
    order = torch.randperm(len(STREETS), generator=torch.Generator().manual_seed(5))
    means, variances = [], []
    for index in (order[:16], order[16:32]):  # 8 are left
        with torch.no_grad():
            maps = model.extractor[0][0][0](normalize(STREETS.images[index]))
        means.append(maps.mean((0, 2, 3)))
        variances.append(maps.var((0, 2, 3)))
    layer = settled.extractor[0][0][1]
    torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(0))
    torch.testing.assert_close(layer.running_var, torch.stack(variances).mean(0))
    assert not settled.training and not balancing_parameters(settled.extractor)["0.0.1.rho"].any()
    assert not torch.equal(settled.neck.running_mean, model.neck.running_mean)


def test_statistics_that_are_collected_anew_are_those_of_each_rho(model):
    changed = {"all IN": study.operated(study.rho_of(model), torch.zeros_like)}
    rates = study.surgery(model, STREETS, changed, STREETS, seed=3)["all IN"]
    settled = study.resettled(model, changed["all IN"], STREETS, seed=3)
    expected = [result.mAP for result in study.on_each_street(settled, STREETS)]
    assert rates.tolist() == pytest.approx(expected)


def test_layer_after_layer_is_operated_on_and_put_back(model):
    own = study.rho_of(model)
    changes = study.surgery_by_layer(model, STREETS, torch.zeros_like)
    assert changes.shape == (len(own), 2)
    name = list(own)[3]
    single = {"one": study.operated(own, torch.zeros_like, [name]), "own": own}
    rates = study.surgery(model, STREETS, single)
    assert changes[3].tolist() == pytest.approx((rates["one"] - rates["own"]).tolist())


def test_differences_are_paired_with_the_references():
    rates = {"a": [0.5, 0.7, 0.6], "b": torch.tensor([0.4, 0.6, 0.5])}
    assert study.differences(rates, "a") == {"b": pytest.approx((-0.1, -0.1, -0.1))}


# ---- the committed networks ----------------------------------------------------------


def test_the_committed_metabin_is_figure_4s_first_training():
    row = {row["name"]: row for row in read_results("figure4")["rows"]}["MetaBIN"]
    mean_rho = torch.cat(list(study.rho_of(load_network("metabin")).values())).mean()
    assert mean_rho.item() == pytest.approx(row["rho_mean"][0], abs=0.05)


@pytest.mark.parametrize("percent", ON_THE_WAY)
def test_networks_on_the_way_are_the_historys(percent):
    history = read_results("history")
    moment = history["iterations"].index(history["iterations"][-1] * percent // 100)
    summary = rho_summary(load_network("metabin", percent).extractor)
    torch.testing.assert_close(summary, torch.tensor(history["rho"][0][moment]), atol=0.05, rtol=0)


# ---- the probe -----------------------------------------------------------------------


def test_what_instance_normalization_takes_away_is_measured_at_the_layers_input(model):
    found = study.input_statistics(model, STREETS.images)
    with torch.no_grad():
        maps = model.extractor[0][0][0](normalize(STREETS.images))  # (N, 16, H, W)
    assert found.keys() == study.rho_of(model).keys() and found["0.0.1.rho"].shape == (40, 2, 16)
    mean, log_deviation = found["0.0.1.rho"].unbind(1)
    torch.testing.assert_close(mean, maps.mean((2, 3)), atol=1e-5, rtol=1e-4)
    deviation = maps.std((2, 3), correction=0)
    torch.testing.assert_close(log_deviation.exp(), deviation, atol=1e-3, rtol=1e-3)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_shares_of_variance_are_those_of_loops():
    values = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0)).double()
    pids = torch.tensor([4, 4, 4, 9, 9, 2, 2])
    shares = study.variance_shares(values, pids)
    for c in range(2):
        table = values[:, :, c]
        total = ((table - table.mean()) ** 2).sum().item()
        styles = sum(7 * (row.mean() - table.mean()).item() ** 2 for row in table)
        people = 0
        for pid in (4, 9, 2):
            group = table[:, pids == pid]
            people += group.numel() * (group.mean() - table.mean()).item() ** 2
        assert shares["style"][c].item() == pytest.approx(styles / total)
        assert shares["identity"][c].item() == pytest.approx(people / total)


def test_pure_style_is_all_style_and_a_channel_that_never_moves_is_neither():
    style = torch.tensor([[1.0, 1, 1, 1], [3, 3, 3, 3]]).unsqueeze(2)  # two styles, four pictures
    person = torch.tensor([[1.0, 1, 5, 5], [1, 1, 5, 5]]).unsqueeze(2)
    still = torch.ones(2, 4, 1)
    shares = study.variance_shares(torch.cat((style, person, still), 2), torch.tensor([0, 0, 1, 1]))
    assert shares["style"].tolist() == [1, 0, 0] and shares["identity"].tolist() == [0, 1, 0]


def test_pictures_that_look_alike_in_both_styles_carry_no_style(model):
    half = STREETS[STREETS.domains == 0]
    labels = {k: torch.cat([half.tensors()[k]] * 2) for k in ("images", "pids", "camids")}
    styles = torch.arange(2).repeat_interleave(len(half))
    same = replace(half, **labels, domains=styles, names=("one", "two"))
    shares = study.style_share_by_channel(model, same)
    assert all(share.max() < 1e-9 for share in shares["style"].values())
    dark = replace(same, images=torch.cat((half.images, half.images // 3)))
    seen = study.style_share_by_channel(model, dark)
    assert seen["style"]["0.0.1.rho"].min() > 0.1
    assert all(((v >= 0) & (v <= 1)).all() for v in seen["identity"].values())


def test_the_rank_correlation_is_scipys_with_ties_too():
    a, b = torch.randint(0, 6, (2, 5, 12), generator=torch.Generator().manual_seed(1))
    expected = [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert study.rank_correlation(a, b).tolist() == pytest.approx(expected)
    assert study.rank_correlation(torch.ones(4), torch.arange(4.0)).item() == 0


def test_correlations_have_intervals_and_their_mean_is_over_layers():
    generator = torch.Generator().manual_seed(2)
    rho = {name: torch.rand(60, generator=generator) for name in ("a.rho", "b.rho")}
    shares = {"a.rho": rho["a.rho"] ** 2, "b.rho": torch.rand(60, generator=generator)}
    found = study.correlations(rho, shares, num=400)
    assert found["a.rho"] == pytest.approx((1, 1, 1))
    value, low, high = found["b.rho"]
    assert value == pytest.approx(spearmanr(rho["b.rho"], shares["b.rho"]).statistic)
    assert low < value < high and 0.3 < high - low < 0.8  # about 4 / √60
    middle, lowest, highest = found["all"]
    assert middle == pytest.approx((1 + value) / 2)
    assert highest - lowest == pytest.approx((high - low) / 2, rel=0.01)
    assert found == study.correlations(rho, shares, num=400)


def test_a_picture_of_the_probe_is_there_in_every_style():
    people = study.people_in_styles(World(height=32, width=16), num_styles=3)
    assert len(people) == 3 * 120 and people.num_domains == 3
    assert len(people.pids.unique()) == 30 and torch.equal(people.pids[:120], people.pids[120:240])
    assert not torch.equal(people.images[:120], people.images[120:240])
