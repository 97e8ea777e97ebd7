"""The slow versions in the lessons, tagged `spec`, as oracles for the package.

A wrong lesson fails here, too.
"""

import ast
import inspect
import math
from functools import cache, partial
from pathlib import Path

import nbformat
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from test_losses import batches as labelled_features
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from metabin.config import demo
from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import retrieval
from metabin.losses import (
    BASE,
    META_TRAIN,
    id_loss,
    pairwise_distances,
    scatter_loss,
    shuffle_loss,
    triplet_loss,
)
from metabin.meta import MetaOptions, base_step, cyclic_inner_lr, inner_step, meta_step
from metabin.networks.normalizations import SharedBatchInstanceNorm2d
from metabin.norm import BatchInstanceNorm2d, balancing_parameters, batch_instance_norm
from metabin.samplers import Batch, PKSampler, split_domains
from metabin.train import learning_rate

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
assert_close = partial(torch.testing.assert_close, rtol=1e-8, atol=1e-8)
seeds = st.integers(0, 10_000)


def specs_of(path: Path) -> dict:
    """The functions that one notebook's `spec` cells define; they may use torch and math alone."""
    names = {"torch": torch, "math": math}
    for cell in nbformat.read(path, as_version=4).cells:
        if "spec" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{path.name}, a spec cell", "exec"), names)
    return {name: value for name, value in names.items() if inspect.isfunction(value)}


@cache
def specs() -> dict:
    """Every spec function of the course by its name, which no other lesson may use."""
    functions = {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        lesson = specs_of(path)
        twice = lesson.keys() & functions.keys()
        assert not twice, f"{path.name} defines a spec again: {twice}"
        functions |= lesson
    return functions


def spec(name: str):
    assert name in specs(), f"no lesson has a spec cell that defines {name}"
    return specs()[name]


def test_every_spec_is_held_against_the_package():
    used = set()
    for node in ast.walk(ast.parse(Path(__file__).read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "spec":
            used.add(node.args[0].value)
    assert specs().keys() == used


def random(*shape: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=draw, dtype=torch.float64)


def float64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# ---- batch-instance normalization (lessons 02 and 03) --------------------------------------------


@st.composite
def maps(draw):
    """Maps (N, C, H, W) with offsets and spreads, and five affine rows (5, C) for the channels."""
    n, c, h, w = (draw(st.integers(*bounds)) for bounds in ((2, 4), (1, 3), (1, 3), (2, 3)))
    seed = draw(seeds)
    x = 3 * random(n, c, h, w, seed=seed) + 5 * random(n, c, 1, 1, seed=seed + 1)
    return x, random(5, c, seed=seed + 2).sigmoid()


def a_layer(batch, kind=BatchInstanceNorm2d):
    """A float64 layer with the affine rows, as far as the kind has them, and momentum 1."""
    x, rows = batch
    layer = kind(x.shape[1], momentum=1.0).double()
    names = "rho", "weight", "bias", "in_weight", "in_bias"
    layer.load_state_dict(dict(zip(names, rows, strict=True)), strict=False)
    return layer


@given(maps())
def test_the_layer_and_its_plain_form_are_eq_1(batch):
    x, rows = batch
    layer = a_layer(batch)
    expected = spec("spec_batch_instance_norm")(x, *rows, layer.eps)
    assert_close(layer(x), expected)
    assert_close(batch_instance_norm(x, rows), expected)


@given(maps())
def test_both_normalized_responses_are_torchs(batch):
    x, _ = batch
    assert_close(spec("spec_batch_normalized")(x, 1e-5), F.batch_norm(x, None, None, training=True))
    assert_close(spec("spec_instance_normalized")(x, 1e-5), F.instance_norm(x))


@given(maps())
def test_the_layer_with_one_shared_pair_is_nam_and_kims(batch):
    x, rows = batch
    layer = a_layer(batch, SharedBatchInstanceNorm2d)
    assert_close(layer(x), spec("spec_shared_bin")(x, *rows[:3], layer.eps))


@given(maps())
def test_running_statistics_follow_from_those_of_the_images(batch):
    x, _ = batch
    layer = a_layer(batch)
    layer(x)
    moments = x.mean((2, 3)), x.var((2, 3), correction=0)
    mean, variance = spec("spec_batch_moments_from_instances")(*moments)
    count = x.numel() // x.shape[1]
    assert_close(layer.running_mean, mean)
    assert_close(layer.running_var, variance * count / (count - 1))


@given(maps())
def test_the_layer_is_one_scale_and_one_shift_for_each_image_and_channel(batch):
    x, rows = batch
    layer = a_layer(batch)
    scale, shift = spec("spec_scale_and_shift")(x, *rows, layer.eps)
    assert_close(layer(x), scale[..., None, None] * x + shift[..., None, None])


@given(maps(), st.sampled_from([0.0, 0.5, 1.0, 1.5, -0.5]))
def test_rhos_gradient_is_dy_times_the_gap_between_the_branches_whatever_rho_is(batch, rho):
    x, rows = batch
    layer = a_layer(batch)
    nn.init.constant_(layer.rho, rho)
    dy = random(*x.shape, seed=x.numel())
    (gradient,) = torch.autograd.grad(layer(x), layer.rho, dy)
    assert_close(gradient, spec("spec_rho_gradient")(dy, x, *rows[1:], layer.eps))


# ---- losses (lesson 04) --------------------------------------------------------------------------


@st.composite
def logits_and_pids(draw):
    """Logits (N, M) and pids (N,)."""
    n, m, seed = draw(st.integers(1, 5)), draw(st.integers(2, 7)), draw(seeds)
    pids = torch.randint(m, (n,), generator=torch.Generator().manual_seed(seed))
    return 3 * random(n, m, seed=seed), pids


@given(logits_and_pids(), st.floats(0, 0.5))
def test_the_id_loss_is_eq_2_and_its_gradient_probabilities_minus_targets(batch, eps):
    logits, pids = batch
    loss = id_loss(logits.requires_grad_(), pids, eps)
    assert loss.item() == pytest.approx(spec("spec_id_loss")(logits, pids, eps))
    (gradient,) = torch.autograd.grad(loss, logits)
    targets = float64(spec("spec_smoothed_targets")(pids, logits.shape[1], eps))
    assert_close(gradient * len(pids), logits.softmax(1) - targets)


@given(labelled_features())
def test_distances_are_euclidean_and_cosines_torchs(batch):
    features, _, _ = batch
    for a, distances in zip(features, pairwise_distances(features), strict=True):
        assert_close(distances, float64([spec("spec_distance")(a, b) for b in features]))
        expected = float64([spec("spec_cosine")(a.tolist(), b.tolist()) for b in features])
        assert_close(F.cosine_similarity(a[None], features), expected)


@given(labelled_features(), st.floats(0, 2))
def test_the_triplet_loss_is_eq_3(batch, margin):
    features, pids, _ = batch
    expected = spec("spec_triplet_loss")(features, pids, margin)
    assert triplet_loss(features, pids, margin).item() == pytest.approx(expected, abs=1e-9)


@given(labelled_features())
def test_the_scatter_loss_is_eq_6(batch):
    features, _, domains = batch
    expected = spec("spec_scatter_loss")(features, domains)
    assert scatter_loss(features, domains).item() == pytest.approx(expected, abs=1e-7)


@given(labelled_features())
def test_the_shuffle_loss_is_eq_7(batch):
    expected = spec("spec_shuffle_loss")(*batch)
    assert shuffle_loss(*batch).item() == pytest.approx(expected, abs=1e-9)


@given(labelled_features())
def test_base_and_meta_train_loss_are_eqs_4_and_8(batch):
    features, pids, domains = batch
    logits, pids = features @ float64([[1.0] * 4] * features.shape[1]), pids % 4
    labels = Batch(None, pids, domains)
    base, meta_train = BASE(features, logits, labels)[0], META_TRAIN(features, None, labels)[0]
    expected = spec("spec_base_loss")(features, logits, pids, 0.1, 0.3)
    assert base.item() == pytest.approx(expected, abs=1e-9)
    expected = spec("spec_meta_train_loss")(features, pids, domains, 0.3)
    assert meta_train.item() == pytest.approx(expected, abs=1e-7)


# ---- batches (lesson 04) -------------------------------------------------------------------------


@given(seeds, st.integers(1, 4), st.integers(1, 5), st.integers(1, 4))
def test_a_batch_and_a_split_are_those_of_algorithm_1(seed, people, images, num_meta_train):
    generator = torch.Generator().manual_seed(seed)
    pids, domains = torch.arange(100) // 5, torch.arange(100) // 20  # 5 domains of 4 people
    shuffled = torch.randperm(100, generator=generator)
    labels = pids[shuffled], domains[shuffled]
    rows = PKSampler(*labels, people, images, generator).draw()
    is_batch, is_split = spec("spec_is_batch"), spec("spec_is_split")
    assert is_batch(rows, *labels, people, images)
    assert not is_batch(rows.T, *labels, images, people), "a row of many domains"
    assert not is_batch(rows[:, 1:], *labels, people, images), "a picture is missing"
    sides = split_domains(5, num_meta_train, generator)
    assert is_split(*sides, 5) and not is_split(sides[0], sides[0], 5)


# ---- the updates of Algorithm 1 (lesson 05) ------------------------------------------------------


class SmallNet(nn.Module):
    """Two BIN layers and a classifier, in float64, with random weights and rho near 0.5."""

    def __init__(self, seed: int):
        super().__init__()
        first = nn.Conv2d(3, 2, 1), BatchInstanceNorm2d(2), nn.Tanh()
        second = nn.Conv2d(2, 2, 1), BatchInstanceNorm2d(2), nn.Tanh(), nn.Flatten()
        self.extractor, self.classifier = nn.Sequential(*first, *second), nn.Linear(12, 3)
        draw = torch.Generator().manual_seed(seed)
        for name, parameter in self.double().named_parameters():
            low, high = (0.3, 0.7) if name.endswith("rho") else (-1, 1)
            nn.init.uniform_(parameter, low, high, generator=draw)

    def forward(self, images):
        features = self.extractor(images)
        return features, self.classifier(features)

    def parts(self) -> list[list[nn.Parameter]]:
        """theta_f, theta_rho, phi."""
        rho = list(balancing_parameters(self.extractor).values())
        named = self.extractor.named_parameters()
        theta_f = [parameter for name, parameter in named if not name.endswith("rho")]
        return [theta_f, rho, list(self.classifier.parameters())]

    def vectors(self) -> list[torch.Tensor]:
        return [parameters_to_vector(part).detach().clone() for part in self.parts()]


def smooth_loss(seed: int):
    """A criterion without kinks, so that finite differences hold everywhere."""
    target = random(12, seed=seed)

    def criterion(features, logits, batch):
        loss = (features * target).sin().mean()
        if logits is not None:
            loss = loss + logits.logsumexp(1).mean()
        return loss, {"smooth": loss}

    return criterion


def some_images(seed: int) -> Batch:
    return Batch(random(4, 3, 3, 2, seed=seed), torch.arange(4) // 2, torch.arange(4) % 2)


def loss_of_vectors(seed: int, batch: Batch, criterion):
    """A loss as a function of theta_f, rho and phi, or of rho alone and without logits."""
    net = SmallNet(seed)

    @torch.no_grad()
    def loss(*vectors):
        parts = net.parts() if len(vectors) == 3 else [net.parts()[1]]
        for part, vector in zip(parts, vectors, strict=True):
            vector_to_parameters(vector, part)
        features, logits = net(batch.images)
        return criterion(features, logits if len(vectors) == 3 else None, batch)[0].item()

    return loss


@given(seeds)
@settings(max_examples=10)
def test_finite_differences_are_autograds_gradient(seed):
    theta = random(5, seed=seed).requires_grad_()

    def loss(t):
        return (t.sin() * t.flip(0)).sum()

    slopes = spec("spec_slopes")(lambda t: loss(t).item(), theta.detach())
    assert_close(slopes, torch.autograd.grad(loss(theta), theta)[0])


@given(seeds)
@settings(max_examples=5)
def test_the_base_step_is_eq_5(seed):
    net, batch, criterion = SmallNet(seed), some_images(seed), smooth_loss(seed)
    loss = loss_of_vectors(seed, batch, criterion)
    expected = spec("spec_base_update")(*net.vectors(), loss, 0.1)
    theta_f, _, phi = net.parts()
    base_step(net, torch.optim.SGD(theta_f + phi, lr=0.1), batch, criterion)
    assert_close(net.vectors(), list(expected), rtol=0, atol=1e-7)


@given(seeds, st.floats(0, 0.5))
@settings(max_examples=10)
def test_the_inner_step_is_eq_9(seed, beta):
    net, batch, criterion = SmallNet(seed), some_images(seed), smooth_loss(seed)
    loss = loss_of_vectors(seed, batch, criterion)
    expected = spec("spec_inner_update")(net.vectors()[1], loss, beta)
    rho, options = balancing_parameters(net.extractor), MetaOptions(meta_train=criterion)
    moved, _ = inner_step(net.extractor, rho, batch, beta, options)
    assert_close(torch.cat(list(moved.values())).detach(), expected, rtol=0, atol=1e-7)


@given(seeds, st.floats(0, 2), st.sampled_from([0.1, 20.0]), st.sampled_from([1, 2]))
@settings(max_examples=15)
def test_the_meta_step_is_eq_10_in_both_orders(seed, beta, gamma, order):
    net, sides = SmallNet(seed), (some_images(seed), some_images(seed + 1))
    criteria = smooth_loss(seed), smooth_loss(seed + 1)
    losses = [loss_of_vectors(seed, *pair) for pair in zip(sides, criteria, strict=True)]
    rho = net.vectors()[1]
    virtual = spec("spec_inner_update")(rho, losses[0], beta)
    # Beyond [0, 1], finite differences feel the layer's clamp.
    assume(virtual.min() > 0.01 and virtual.max() < 0.99)
    expected = spec("spec_meta_update")(rho, *losses, beta, gamma, order)
    options = MetaOptions(meta_train=criteria[0], meta_test=criteria[1], order=order)
    meta_step(net.extractor, *sides, beta, gamma, options)
    assert_close(net.vectors()[1], expected, rtol=0, atol=1e-6 * max(gamma, 1))


# ---- step sizes (lesson 06) ----------------------------------------------------------------------

progresses = st.floats(0, 1, exclude_max=True)


@given(progresses, st.floats(1e-4, 1), st.floats(1, 10), st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_the_cyclic_inner_step_size_is_the_papers_triangle(progress, low, ratio, cycle):
    expected = spec("spec_cyclic_inner_lr")(progress, low, low * ratio, cycle)
    inner_lr = cyclic_inner_lr(progress, low, low * ratio, cycle)
    assert inner_lr == pytest.approx(expected, rel=1e-6, abs=1e-9)


milestones = st.sampled_from([(0.4, 0.7), (0.5,), (0.3, 0.6, 0.9)])


@given(progresses, st.floats(1e-3, 1), st.sampled_from([0.05, 0.1, 0.2]), milestones)
def test_the_learning_rate_is_the_papers_schedule(progress, lr, warmup, milestones):
    config = demo(lr=lr, warmup=warmup, milestones=milestones)
    expected = spec("spec_learning_rate")(lr, warmup, milestones, progress)
    assert learning_rate(config, progress) == pytest.approx(expected, rel=1e-9)


# ---- retrieval (lessons 01 and 11) ---------------------------------------------------------------


@st.composite
def searches(draw):
    """A retrieval and arguments of its slow versions: scores, pid, camid, pids, camids each.

    Everybody whom three cameras saw is a query, without ties.
    """
    n, seed = draw(st.integers(8, 24)), draw(seeds)
    features = F.normalize(random(n, 6, seed=seed))
    pids = torch.arange(n) // 4
    camids = torch.randint(3, (n,), generator=torch.Generator().manual_seed(seed))
    labels = pids.tolist(), camids.tolist()
    scores = (features @ features.T).tolist()
    queries = [(*query, *labels) for query in zip(scores, *labels, strict=True)]
    return retrieval(features, features, pids, pids, camids, camids), queries


def rank_list(ranks: list) -> list[bool]:
    """Whether each rank down to the last right one is right."""
    return [rank in ranks for rank in range(1, ranks[-1] + 1)]


@given(searches())
@settings(max_examples=30)
def test_rank_k_ap_and_inp_follow_from_the_ranks_of_the_right_ones(search):
    result, queries = search
    answers = [spec("spec_found_at")(*query) for query in queries]
    answers = [ranks for ranks in answers if ranks]
    assume(answers)
    assert result.num_unmatched == len(queries) - len(answers)
    for metric, loops in (("mAP", spec("spec_ap")), ("mINP", spec("spec_inp"))):
        assert_close(result.values(metric), float64([loops(ranks) for ranks in answers]))
    steps = [spec("spec_average_precision")(rank_list(ranks)) for ranks in answers]
    assert_close(result.values("mAP"), float64(steps))
    assert result.first_hit.tolist() == [ranks[0] for ranks in answers]
    for k in (1, 2, 5):
        hits = float64([spec("spec_rank_k")(ranks, k) for ranks in answers])
        assert_close(result.values(f"rank{k}"), hits)
        assert_close(result.hits(6)[:, k - 1], hits)


# ---- differences over worlds (lesson 10) ---------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_the_paired_interval_is_students(pairs):
    a, b = float64(pairs).T
    t = stats.t.ppf(0.975, len(pairs) - 1)
    expected = spec("spec_paired_interval")(a.tolist(), b.tolist(), t)
    assert paired_interval(b - a) == pytest.approx(expected, rel=1e-9, abs=1e-9)
