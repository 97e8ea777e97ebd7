"""The slow versions in the lessons, tagged `spec`, as oracles for the package: a wrong lesson fails here, too."""

import ast
import inspect
import math
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.nn import functional as F

from metabin.config import demo
from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import retrieval
from metabin.losses import (
    BASE,
    META_TRAIN,
    OPTIONS,
    id_loss,
    pairwise_distances,
    scatter_loss,
    shuffle_loss,
    triplet_loss,
)
from metabin.meta import Batch, base_step, cyclic_inner_lr, inner_step, meta_step
from metabin.networks.normalizations import SharedBatchInstanceNorm2d
from metabin.norm import BatchInstanceNorm2d, balancing_parameters
from metabin.train import learning_rate

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def specs_of(path: Path) -> dict:
    """The functions that the `spec` cells of one notebook define, by name; the cells may use torch and math alone."""
    cells = nbformat.read(path, as_version=4).cells
    names = {"torch": torch, "math": math}
    for cell in cells:
        if "spec" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{path.name}, a spec cell", "exec"), names)
    return {name: thing for name, thing in names.items() if inspect.isfunction(thing)}


@cache
def specs() -> dict:
    """Every spec function of the course by its name, which no other lesson may use."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        own = specs_of(path)
        assert not own.keys() & found.keys(), (
            f"{path.name} defines a spec again: {own.keys() & found.keys()}"
        )
        found |= own
    return found


def spec(name: str):
    """One spec function by name, wherever it stands."""
    assert name in specs(), (
        f"no lesson has a spec cell that defines {name}; there are {sorted(specs())}"
    )
    return specs()[name]


def test_every_spec_is_held_against_the_package():
    used = {
        node.args[0].value
        for node in ast.walk(ast.parse(Path(__file__).read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "spec"
        and isinstance(node.args[0], ast.Constant)
    }
    assert specs().keys() == used


# ---- batch-instance normalization (lesson 02) ----------------------------------------------------------------------


@st.composite
def batches(draw):
    """A random batch (N, C, H, W) with its own offsets and spreads, and five affine rows (5, C) for its channels."""
    shape = [draw(st.integers(*bounds)) for bounds in ((2, 4), (1, 3), (1, 3), (2, 3))]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = x * 3 + 5 * torch.randn(*shape[:2], 1, 1, generator=generator, dtype=torch.float64)
    return x, torch.rand(5, shape[1], generator=generator, dtype=torch.float64)


@given(batches())
def test_the_layer_is_eq_1(batch):
    x, (rho, weight, bias, in_weight, in_bias) = batch
    layer = BatchInstanceNorm2d(x.shape[1]).double()
    values = dict(rho=rho, weight=weight, bias=bias, in_weight=in_weight, in_bias=in_bias)
    layer.load_state_dict(layer.state_dict() | values)
    expected = spec("spec_batch_instance_norm")(x, rho, weight, bias, in_weight, in_bias, layer.eps)
    torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-9)


@given(batches())
def test_both_normalized_responses_are_torchs(batch):
    x, _ = batch
    bn = nn.BatchNorm2d(x.shape[1], affine=False).double()
    torch.testing.assert_close(
        spec("spec_batch_normalized")(x, bn.eps), bn(x), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(
        spec("spec_instance_normalized")(x, 1e-5), F.instance_norm(x), rtol=1e-9, atol=1e-9
    )


# ---- the layer as one multiply-add, and rho's gradient (lesson 03) --------------------------------------------------


def a_layer(batch, kind=BatchInstanceNorm2d):
    """A float64 layer with the batch's five affine rows, as far as the kind has them, and momentum 1."""
    x, rows = batch
    layer = kind(x.shape[1], momentum=1.0).double()
    values = dict(zip(("rho", "weight", "bias", "in_weight", "in_bias"), rows, strict=True))
    layer.load_state_dict(
        layer.state_dict() | {k: v for k, v in values.items() if k in layer.state_dict()}
    )
    return layer


@given(batches())
def test_the_layer_with_one_shared_pair_is_nam_and_kims(batch):
    x, (rho, weight, bias, *_) = batch
    layer = a_layer(batch, SharedBatchInstanceNorm2d)
    expected = spec("spec_shared_bin")(x, rho, weight, bias, layer.eps)
    torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-9)


@given(batches())
def test_running_statistics_follow_from_those_of_the_images(batch):
    x, _ = batch
    layer = a_layer(batch)
    layer(x)
    moments = x.mean((2, 3)), x.var((2, 3), correction=0)
    mean, variance = spec("spec_batch_moments_from_instances")(*moments)
    count = x.numel() // x.shape[1]
    torch.testing.assert_close(layer.running_mean, mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        layer.running_var, variance * count / (count - 1), rtol=1e-9, atol=1e-9
    )


@given(batches())
def test_the_layer_is_one_scale_and_one_shift_for_each_image_and_channel(batch):
    x, rows = batch
    layer = a_layer(batch)
    scale, shift = spec("spec_scale_and_shift")(x, *rows, layer.eps)
    torch.testing.assert_close(
        layer(x), scale[..., None, None] * x + shift[..., None, None], rtol=1e-8, atol=1e-8
    )


@given(batches(), st.sampled_from([0.0, 0.5, 1.0, 1.5, -0.5]))
def test_rhos_gradient_is_dy_times_the_gap_between_the_branches_whatever_rho_is(batch, rho):
    x, rows = batch
    layer = a_layer(batch)
    torch.nn.init.constant_(layer.rho, rho)
    dy = torch.randn(x.shape, generator=torch.Generator().manual_seed(x.numel()), dtype=x.dtype)
    expected = spec("spec_rho_gradient")(dy, x, *rows[1:], layer.eps)
    (found,) = torch.autograd.grad(layer(x), layer.rho, dy)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


# ---- step sizes (lesson 06) ----------------------------------------------------------------------------------------

fractions = st.floats(0, 1, exclude_max=True)


@given(fractions, st.floats(1e-4, 1), st.floats(1, 10), st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_the_cyclic_inner_step_size_is_the_papers_triangle(progress, low, ratio, cycle):
    expected = spec("spec_cyclic_inner_lr")(progress, low, low * ratio, cycle)
    assert cyclic_inner_lr(progress, low, low * ratio, cycle) == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


@given(
    fractions,
    st.floats(1e-3, 1),
    st.sampled_from([0.05, 0.1, 0.2]),
    st.sampled_from([(0.4, 0.7), (0.5,), (0.3, 0.6, 0.9)]),
)
def test_the_learning_rate_is_the_papers_schedule(progress, lr, warmup, milestones):
    config = demo(lr=lr, warmup=warmup, milestones=milestones)
    expected = spec("spec_learning_rate")(lr, warmup, milestones, progress)
    assert learning_rate(config, progress) == pytest.approx(expected, rel=1e-9)


# ---- losses (lesson 04) --------------------------------------------------------------------------------------------


@st.composite
def labelled_features(draw):
    """Features (N, D) on a coarse grid, so that ties, duplicates and zeros happen; people may be in several domains."""
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    rows = draw(
        st.lists(st.lists(st.integers(-3, 3), min_size=d, max_size=d), min_size=n, max_size=n)
    )
    labels = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=n, max_size=n))
    pids, domains = torch.tensor(labels).T
    return torch.tensor(rows, dtype=torch.float64), pids, domains


@st.composite
def logits_and_pids(draw):
    """Logits (N, M) and pids (N,)."""
    n, m = draw(st.integers(1, 5)), draw(st.integers(2, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = 3 * torch.randn(n, m, generator=generator, dtype=torch.float64)
    return logits, torch.randint(m, (n,), generator=generator)


smoothings = st.sampled_from(OPTIONS["smooth"])


@given(logits_and_pids(), st.floats(0, 0.5), smoothings)
def test_the_id_loss_is_eq_2(batch, eps, smooth):
    expected = spec("spec_id_loss")(*batch, eps, smooth)
    assert id_loss(*batch, eps, smooth).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(logits_and_pids(), st.floats(0, 0.5), smoothings)
def test_the_id_losss_gradient_is_probabilities_minus_targets(batch, eps, smooth):
    logits, pids = batch
    (gradient,) = torch.autograd.grad(id_loss(logits.requires_grad_(), pids, eps, smooth), logits)
    targets = torch.tensor(
        spec("spec_smoothed_targets")(pids, logits.shape[1], eps, smooth), dtype=torch.float64
    )
    torch.testing.assert_close(
        gradient * len(pids), logits.softmax(1) - targets, rtol=1e-9, atol=1e-9
    )


@given(labelled_features())
def test_distances_are_euclidean(batch):
    features, _, _ = batch
    expected = [[spec("spec_distance")(a, b) for b in features] for a in features]
    torch.testing.assert_close(
        pairwise_distances(features), torch.tensor(expected, dtype=torch.float64)
    )


@given(labelled_features(), st.floats(0, 2))
def test_the_triplet_loss_is_eq_3(batch, margin):
    features, pids, _ = batch
    expected = spec("spec_triplet_loss")(features, pids, margin)
    assert triplet_loss(features, pids, margin).item() == pytest.approx(expected, abs=1e-9)


@given(labelled_features(), st.sampled_from(OPTIONS["centroid"]))
def test_the_scatter_loss_is_eq_6(batch, centroid):
    features, _, domains = batch
    expected = spec("spec_scatter_loss")(features, domains, centroid)
    assert scatter_loss(features, domains, centroid).item() == pytest.approx(expected, abs=1e-7)


@given(labelled_features())
def test_a_cosine_is_torchs(batch):
    features, _, _ = batch
    first = features[:1].expand_as(features)
    expected = [spec("spec_cosine")(features[0].tolist(), row.tolist()) for row in features]
    torch.testing.assert_close(
        F.cosine_similarity(first, features), torch.tensor(expected, dtype=torch.float64)
    )


@given(labelled_features(), st.sampled_from(OPTIONS["mining"]))
def test_the_shuffle_loss_is_eq_7(batch, mining):
    expected = spec("spec_shuffle_loss")(*batch, mining)
    assert shuffle_loss(*batch, mining).item() == pytest.approx(expected, abs=1e-9)


@given(labelled_features())
def test_base_and_meta_train_loss_are_eqs_4_and_8(batch):
    features, pids, domains = batch
    logits, labels = (
        features @ torch.ones(features.shape[1], 4, dtype=torch.float64),
        Batch(None, pids, domains),
    )
    base, _ = BASE(features, logits, labels)
    assert base.item() == pytest.approx(
        spec("spec_base_loss")(features, logits, pids, 0.1, 0.3), abs=1e-9
    )
    meta_train, _ = META_TRAIN(features, None, labels)
    assert meta_train.item() == pytest.approx(
        spec("spec_meta_train_loss")(features, pids, domains, 0.3), abs=1e-7
    )


# ---- the updates of Algorithm 1 (lesson 05) -------------------------------------------------------------------------


class SmallNet(nn.Module):
    """Two BIN layers of two channels and a classifier, in float64, with random weights and rho in the middle of [0, 1]."""

    def __init__(self, seed: int):
        super().__init__()
        layers = (
            nn.Conv2d(3, 2, 1),
            BatchInstanceNorm2d(2),
            nn.Tanh(),
            nn.Conv2d(2, 2, 1),
            BatchInstanceNorm2d(2),
        )
        self.extractor, self.classifier = (
            nn.Sequential(*layers, nn.Tanh(), nn.Flatten()),
            nn.Linear(12, 3),
        )
        draw = torch.Generator().manual_seed(seed)
        for name, parameter in self.double().named_parameters():
            low, high = (0.3, 0.7) if name.endswith("rho") else (-1, 1)
            nn.init.uniform_(parameter, low, high, generator=draw)

    def forward(self, images):
        features = self.extractor(images)
        return features, self.classifier(features)

    def parts(self) -> list[list[nn.Parameter]]:
        """theta_f, theta_rho, phi."""
        named = list(self.extractor.named_parameters())
        theta_f, rho = (
            [p for n, p in named if n.endswith("rho") == is_rho] for is_rho in (False, True)
        )
        return [theta_f, rho, list(self.classifier.parameters())]

    def vectors(self) -> list[torch.Tensor]:
        return [nn.utils.parameters_to_vector(part).detach().clone() for part in self.parts()]


def smooth_loss(seed: int):
    """A criterion without kinks, so that finite differences hold everywhere."""
    target = torch.randn(12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def criterion(features, logits, batch):
        loss = (features * target).sin().mean() + (
            0 if logits is None else logits.logsumexp(1).mean()
        )
        return loss, {"smooth": loss}

    return criterion


def some_images(seed: int) -> Batch:
    images = torch.randn(
        4, 3, 3, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return Batch(images, torch.arange(4) // 2, torch.arange(4) % 2)


def loss_of_vectors(seed: int, batch: Batch, criterion, with_logits: bool = False):
    """A loss as a function of theta_f, rho and phi (all or rho alone), by putting the numbers into a net of its own."""
    net = SmallNet(seed)

    @torch.no_grad()
    def loss(*vectors):
        parts = net.parts() if len(vectors) == 3 else [net.parts()[1]]
        for part, vector in zip(parts, vectors, strict=True):
            nn.utils.vector_to_parameters(vector, part)
        features, logits = net(batch.images)
        return criterion(features, logits if with_logits else None, batch)[0].item()

    return loss


seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=10)
def test_finite_differences_are_autograds_gradient(seed):
    theta = torch.randn(
        5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).requires_grad_()

    def loss(t):
        return (t.sin() * t.flip(0)).sum()

    expected = torch.autograd.grad(loss(theta), theta)[0]
    found = spec("spec_slopes")(lambda t: loss(t).item(), theta.detach())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@given(seeds)
@settings(max_examples=5)
def test_the_base_step_is_eq_5(seed):
    net, batch, criterion = SmallNet(seed), some_images(seed), smooth_loss(seed)
    expected = spec("spec_base_update")(
        *net.vectors(), loss_of_vectors(seed, batch, criterion, True), 0.1
    )
    theta_f, _, phi = net.parts()
    base_step(net, torch.optim.SGD(theta_f + phi, lr=0.1), batch, criterion)
    torch.testing.assert_close(net.vectors(), list(expected), rtol=0, atol=1e-7)


@given(seeds, st.floats(0, 0.5))
@settings(max_examples=10)
def test_the_inner_step_is_eq_9(seed, beta):
    net, batch, criterion = SmallNet(seed), some_images(seed), smooth_loss(seed)
    expected = spec("spec_inner_update")(
        net.vectors()[1], loss_of_vectors(seed, batch, criterion), beta
    )
    moved, _ = inner_step(
        net.extractor, balancing_parameters(net.extractor), batch, beta, criterion
    )
    torch.testing.assert_close(
        torch.cat(list(moved.values())).detach(), expected, rtol=0, atol=1e-7
    )


@given(seeds, st.floats(0, 2), st.sampled_from([0.1, 20.0]), st.sampled_from([1, 2]))
@settings(max_examples=15)
def test_the_meta_step_is_eq_10_in_both_orders(seed, beta, gamma, order):
    net, sides = SmallNet(seed), (some_images(seed), some_images(seed + 1))
    criteria = smooth_loss(seed), smooth_loss(seed + 1)
    losses = [loss_of_vectors(seed, *pair) for pair in zip(sides, criteria, strict=True)]
    rho = net.vectors()[1]
    virtual = spec("spec_inner_update")(rho, losses[0], beta)
    assume(
        ((virtual > 0.01) & (virtual < 0.99)).all()
    )  # beyond, finite differences feel the layer's clamp
    expected = spec("spec_meta_update")(rho, *losses, beta, gamma, order)
    meta_step(net.extractor, *sides, beta, gamma, criteria, order)
    torch.testing.assert_close(net.vectors()[1], expected, rtol=0, atol=1e-6 * max(gamma, 1))


# ---- what a search is worth (lesson 11) ------------------------------------------------------------------------------


@st.composite
def searches(draw):
    """Random features (N, 6) of people whom three cameras saw, without ties; everybody is looked for."""
    num = draw(st.integers(8, 24))
    generator = torch.Generator().manual_seed(draw(seeds))
    features = F.normalize(torch.randn(num, 6, generator=generator, dtype=torch.float64))
    return features, torch.arange(num) // 4, torch.randint(3, (num,), generator=generator)


@given(searches())
@settings(max_examples=30)
def test_cmc_ap_and_inp_are_those_of_the_loops(search):
    features, pids, camids = search
    lists = [
        spec("spec_right_ones")(
            (features @ query).tolist(), pid, camid, pids.tolist(), camids.tolist()
        )
        for query, pid, camid in zip(features, pids.tolist(), camids.tolist(), strict=True)
    ]
    answered = [right for right in lists if any(right)]
    assume(answered)
    found = retrieval(features, features, pids, pids, camids, camids)
    assert found.num_unmatched == len(lists) - len(answered)
    for metric, loops in (
        ("mAP", spec("spec_average_precision")),
        ("mINP", spec("spec_inverse_negative_penalty")),
    ):
        expected = torch.tensor([loops(right) for right in answered], dtype=torch.float64)
        torch.testing.assert_close(found.values(metric), expected)
    expected = torch.tensor([spec("spec_cmc")(right, 6) for right in answered]).double()
    torch.testing.assert_close(found.hits(6), expected)


# ---- counting by ranks (lesson 01) -----------------------------------------------------------------------------------


@given(searches())
@settings(max_examples=30)
def test_rank_k_ap_and_inp_follow_from_the_ranks_of_the_right_ones(search):
    features, pids, camids = search
    lists = [
        spec("spec_found_at")(
            (features @ query).tolist(), pid, camid, pids.tolist(), camids.tolist()
        )
        for query, pid, camid in zip(features, pids.tolist(), camids.tolist(), strict=True)
    ]
    answered = [found_at for found_at in lists if found_at]
    assume(answered)
    found = retrieval(features, features, pids, pids, camids, camids)
    assert found.num_unmatched == len(lists) - len(answered)
    assert found.first_hit.tolist() == [found_at[0] for found_at in answered]
    for metric, loops in (("mAP", spec("spec_ap")), ("mINP", spec("spec_inp"))):
        expected = torch.tensor([loops(found_at) for found_at in answered], dtype=torch.float64)
        torch.testing.assert_close(found.values(metric), expected)
    for k in (1, 2, 5):
        hits = torch.tensor([spec("spec_rank_k")(found_at, k) for found_at in answered]).double()
        torch.testing.assert_close(found.values(f"rank{k}"), hits)


# ---- differences over worlds (lesson 10) -----------------------------------------------------------------------------

rates = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8)


@given(rates)
def test_the_paired_interval_is_students(pairs):
    a, b = (torch.tensor(row, dtype=torch.float64) for row in zip(*pairs, strict=True))
    t = stats.t.ppf(0.975, len(pairs) - 1)
    expected = spec("spec_paired_interval")(a.tolist(), b.tolist(), t)
    assert paired_interval(b - a) == pytest.approx(expected, rel=1e-9, abs=1e-9)
