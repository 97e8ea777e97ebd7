"""The losses against loops in the paper's letters, numbers by hand and finite differences."""

import math
from functools import partial
from operator import mul
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer

from metabin.losses import (
    BASE,
    META_TEST,
    META_TRAIN,
    Criterion,
    id_loss,
    pairwise_distances,
    scatter_loss,
    shuffle_loss,
    triplet_loss,
)

# ---- the paper's equations as loops over plain numbers -------------------------------------------


def mean(terms):
    return math.fsum(terms) / len(terms) if terms else 0.0


def loop_id(logits, y, eps=0.1, smooth="all"):  # Eq. 2
    terms = []
    for z, label in zip(logits.tolist(), y.tolist(), strict=True):
        log_sum = math.log(math.fsum(map(math.exp, z)))
        for j, z_j in enumerate(z):
            if smooth == "all":
                q = (1 - eps) * (j == label) + eps / len(z)
            else:
                q = 1 - eps if j == label else eps / (len(z) - 1)
            terms.append(q * (log_sum - z_j))
    return math.fsum(terms) / len(y)


def distances(f, a, candidate):
    return [math.dist(f[a], f[i]) for i in range(len(f)) if candidate(i)]


def loop_triplet(f, y, k, m=0.3):  # Eq. 3
    terms = []
    for a in range(len(f)):
        positives = distances(f, a, lambda i, a=a: y[i] == y[a] and i != a)
        negatives = distances(f, a, lambda i, a=a: y[i] != y[a])
        if positives and negatives:
            terms.append(max(max(positives) - min(negatives) + m, 0.0))
    return mean(terms)


def unit(a):
    length = max(math.hypot(*a), 1e-12)
    return [x / length for x in a]


def loop_scatter(f, y, k, centroid="raw"):  # Eq. 6
    by_domain = {}
    for a, domain in zip(f, k, strict=True):
        by_domain.setdefault(domain, []).append(a if centroid == "raw" else unit(a))
    means = []
    for mates in by_domain.values():
        middle = unit([mean(column) for column in zip(*mates, strict=True)])
        cosines = [math.fsum(map(mul, unit(a), middle)) for a in mates]
        means.append(mean(cosines))
    if centroid == "normalized":
        return mean(means)
    return mean([means[list(by_domain).index(domain)] for domain in k])


def loop_shuffle(f, y, k, mining="other identity"):  # Eq. 7
    terms = []
    far, near = (mean, mean) if mining == "mean" else (max, min)
    any_id = mining == "any identity"
    for a in range(len(f)):
        intra = distances(f, a, lambda i, a=a: k[i] == k[a] and y[i] != y[a])
        inter = distances(f, a, lambda i, a=a: k[i] != k[a] and (any_id or y[i] != y[a]))
        if inter and intra:
            terms.append(math.log1p(math.exp(far(inter) - near(intra))))
    return mean(terms)


def loop_meta_train(f, y, k):  # Eq. 8
    return loop_scatter(f, y, k) + loop_shuffle(f, y, k) + loop_triplet(f, y, k)


class Labels(NamedTuple):
    """All that a criterion looks at in a batch."""

    pids: torch.Tensor
    domains: torch.Tensor


PAIRS = {  # name -> (the package's loss, the loop), both of features, pids, domains
    "triplet": (lambda f, y, k: triplet_loss(f, y), loop_triplet),
    "meta_train": (lambda f, y, k: META_TRAIN(f, None, Labels(y, k))[0], loop_meta_train),
}
for option in ("raw", "normalized"):
    loss = partial(lambda f, y, k, option: scatter_loss(f, k, option), option=option)
    PAIRS[f"scatter, {option}"] = loss, partial(loop_scatter, centroid=option)
for option in ("other identity", "any identity", "mean"):
    pair = partial(shuffle_loss, mining=option), partial(loop_shuffle, mining=option)
    PAIRS[f"shuffle, {option}"] = pair
every_loss = pytest.mark.parametrize("name", PAIRS)


def loop_of(name, batch):
    return PAIRS[name][1](*(tensor.tolist() for tensor in batch))


@st.composite
def batches(draw):
    """Features on a coarse grid: ties, duplicates, zeros. Labels have gaps, people many domains."""
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    grid = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    features = draw(st.lists(grid, min_size=n, max_size=n))
    label = st.tuples(st.sampled_from((0, 5, 7, 21)), st.sampled_from((0, 2, 9)))
    pids, domains = torch.tensor(draw(st.lists(label, min_size=n, max_size=n))).T
    return torch.tensor(features, dtype=torch.float64), pids, domains


def random_batch(seed=0, n=12, d=4, dtype=torch.float64):
    """Features in general position: 3 domains x 2 identities x 2 images."""
    draw = torch.Generator().manual_seed(seed)
    pids = torch.arange(n) // 2
    return torch.randn(n, d, dtype=dtype, generator=draw), pids, pids // 2


@every_loss
@given(batch=batches())
def test_a_loss_equals_its_loop_in_the_papers_letters(name, batch):
    assert PAIRS[name][0](*batch).item() == pytest.approx(loop_of(name, batch), abs=1e-9)


@given(seed=st.integers(0, 2**32), eps=st.floats(0, 0.8), smooth=st.sampled_from(("all", "others")))
def test_the_id_loss_equals_its_loop_with_both_smoothings(seed, eps, smooth):
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 7, dtype=torch.float64, generator=draw) * 3
    pids = torch.randint(7, (5,), generator=draw)
    expected = loop_id(logits, pids, eps, smooth)
    assert id_loss(logits, pids, eps, smooth).item() == pytest.approx(expected, rel=1e-12)


# ---- numbers that can be checked by eye ----------------------------------------------------------


def test_the_id_loss_of_two_classes_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)  # probabilities 3/4 and 1/4
    by_hand = -0.95 * math.log(0.75) - 0.05 * math.log(0.25)
    assert id_loss(logits, torch.tensor([0]), 0.1).item() == pytest.approx(by_hand, rel=1e-12)


def test_the_triplet_loss_of_four_points_on_a_line_by_hand():
    features, pids = torch.tensor([[0.0], [1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1, 1])
    # d(a, p) - d(a, n): 1 - 3, 1 - 2, 2 - 2, 2 - 4; plus 1.5, the second and third are positive
    assert triplet_loss(features, pids, margin=1.5).item() == pytest.approx((0.5 + 1.5) / 4)


def test_the_scatter_loss_of_two_domains_by_hand():
    features, domains = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]), torch.tensor([0, 0, 1])
    assert scatter_loss(features, domains).item() == pytest.approx((2 / math.sqrt(2) + 1) / 3)


@pytest.mark.parametrize(
    ("points", "pids", "gaps"),
    [  # gaps: farthest of the other domain minus nearest of the same one
        ([0.0, 1.0, 3.0, 5.0], [0, 1, 2, 3], (5 - 1, 4 - 1, 3 - 2, 5 - 2)),
        # the first anchor's farthest is itself elsewhere: not counted
        ([0.0, 1.0, 100.0, 3.0], [0, 1, 0, 2], (3 - 1, 99 - 1, 99 - 97, 3 - 97)),
    ],
)
def test_the_shuffle_loss_of_four_points_on_a_line_by_hand(points, pids, gaps):
    features, domains = torch.tensor(points)[:, None], torch.tensor([0, 0, 1, 1])
    by_hand = mean([math.log1p(math.exp(gap)) for gap in gaps])
    assert shuffle_loss(features, torch.tensor(pids), domains).item() == pytest.approx(by_hand)


# ---- sums of losses ------------------------------------------------------------------------------


def test_a_criterion_is_the_weighted_sum_of_the_losses_that_it_names_with_its_options():
    batch = random_batch()
    features, pids, domains = batch
    logits = features @ torch.ones(4, 6, dtype=torch.float64)
    options = dict(label_smoothing=0.2, margin=0.7, smooth="others")
    options |= dict(centroid="normalized", mining="mean")
    criterion = Criterion("id+2.5 triplet + .5scatter + shuffle", **options)
    total, losses = criterion(features, logits, Labels(pids, domains))
    assert losses["triplet"] == triplet_loss(features, pids, 0.7)
    expected = {
        "id": loop_id(logits, pids, 0.2, "others"),
        "triplet": loop_triplet(*(tensor.tolist() for tensor in batch), 0.7),
        "scatter": loop_of("scatter, normalized", batch),
        "shuffle": loop_of("shuffle, mean", batch),
    }
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(expected)
    weighted = [weight * expected[name] for name, weight in criterion.weights.items()]
    assert total.item() == pytest.approx(sum(weighted))
    assert list(criterion.weights.values()) == [1, 2.5, 0.5, 1]


def test_the_papers_criteria_are_equations_4_8_and_10():
    assert BASE.weights == {"id": 1.0, "triplet": 1.0} and BASE.needs_logits
    assert META_TRAIN.weights == {"scatter": 1.0, "shuffle": 1.0, "triplet": 1.0}
    assert META_TEST.weights == {"triplet": 1.0} and not META_TEST.needs_logits


@pytest.mark.parametrize(
    "formula", ["", "triplet +", "triplet + dice", "triplet + triplet", "-1 triplet", "2 x triplet"]
)
def test_what_is_no_sum_of_losses_is_refused_with_an_example(formula):
    with pytest.raises(ValueError, match="no sum of losses .*such as"):
        Criterion(formula)


@pytest.mark.parametrize("option", [dict(mining="hardest"), dict(depth="deep")])
def test_an_option_that_no_loss_has_is_refused(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        Criterion("triplet", **option)


def test_a_loss_refuses_a_misspelt_option_too_much_smoothing_and_missing_logits():
    features, pids, domains = random_batch()
    with pytest.raises(ValueError, match="choose one of"):
        id_loss(features, pids, smooth="other")
    with pytest.raises(ValueError, match="choose one of"):
        scatter_loss(features, domains, "normalised")
    with pytest.raises(ValueError, match="choose one of"):
        shuffle_loss(features, pids, domains, "any")
    with pytest.raises(ValueError, match="label_smoothing=0.9: with 4 identities at most 0.75"):
        id_loss(features, pids % 4, 0.9, "others")
    with pytest.raises(ValueError, match="needs logits: pass the whole model"):
        BASE(features, None, Labels(pids, domains))
    assert id_loss(features[:, :1], pids * 0, 0.0, "others").item() == 0


# ---- other oracles, gradients and precision ------------------------------------------------------


@given(seed=st.integers(0, 2**31), margin=st.floats(0, 2), ids=st.integers(2, 6))
def test_the_triplet_loss_is_pytorch_metric_learnings_batch_hard_one(seed, margin, ids):
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(4 * ids, 8, generator=draw, dtype=torch.float64)
    pids = torch.arange(ids).repeat_interleave(4)[torch.randperm(4 * ids, generator=draw)]
    distance = LpDistance(normalize_embeddings=False)
    reference = TripletMarginLoss(margin=margin, distance=distance, reducer=MeanReducer())
    expected = reference(features, pids, BatchHardMiner(distance=distance)(features, pids))
    assert triplet_loss(features, pids, margin).item() == pytest.approx(expected.item())


@every_loss
@pytest.mark.parametrize("seed", range(2))
def test_first_and_second_derivatives_equal_finite_differences(name, seed):
    features, pids, domains = random_batch(seed)

    def loss(f):
        return PAIRS[name][0](f, pids, domains)

    assert torch.autograd.gradcheck(loss, features.requires_grad_())
    assert torch.autograd.gradgradcheck(loss, features)


DEGENERATE = {  # name -> (how to make the features degenerate, pids, domains)
    "one domain": (lambda f: f, [0, 0, 1, 1], [0, 0, 0, 0]),
    "one identity": (lambda f: f, [0, 0, 0, 0], [0, 0, 1, 1]),
    "one identity per domain": (lambda f: f, [0, 0, 1, 1], [0, 0, 1, 1]),
    "one image of each": (lambda f: f, [0, 1, 2, 3], [0, 0, 1, 1]),
    "nobody counts": (lambda f: f, [0, 1, 2, 3], [0, 0, 0, 0]),
    "all features equal": (torch.ones_like, [0, 0, 1, 1], [0, 0, 1, 1]),
    "all features zero": (torch.zeros_like, [0, 0, 1, 1], [0, 0, 1, 1]),
    "duplicates": (lambda f: f[[0, 0, 1, 1]], [0, 0, 1, 1], [0, 1, 0, 1]),
    "a centroid at zero": (lambda f: torch.cat([f[:2], -f[:2]]), [0, 0, 1, 1], [0, 0, 0, 0]),
    "nearly equal": (lambda f: 1 + 1e-7 * f, [0, 0, 1, 1], [0, 0, 1, 1]),
    "huge": (lambda f: 1e15 * f, [0, 0, 1, 1], [0, 0, 1, 1]),
    "a single image": (lambda f: f[:1], [0], [0]),
}


@every_loss
@pytest.mark.parametrize("case", DEGENERATE)
def test_a_degenerate_batch_has_a_finite_loss_and_finite_gradients(name, case):
    degrade, pids, domains = DEGENERATE[case]
    features = degrade(random_batch(n=4, dtype=torch.float32)[0]).requires_grad_()
    loss = PAIRS[name][0](features, torch.tensor(pids), torch.tensor(domains))
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss.isfinite() and gradient.isfinite().all()
    if case == "nobody counts" and name.startswith(("triplet", "shuffle")):
        assert loss == 0 and not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_distances_of_features_with_an_offset_are_exact_to_float32_whatever_their_type(dtype):
    draw = torch.Generator().manual_seed(0)
    features = 100 + torch.randn(48, 64, generator=draw)  # more than cdist's exact limit of 25 rows
    features = features.to(dtype)
    features[1] = features[0]  # a duplicate
    exact = (features.double()[:, None] - features.double()[None]).square().sum(-1).sqrt()
    distances = pairwise_distances(features)
    assert distances.dtype == torch.float32
    torch.testing.assert_close(distances.double(), exact, rtol=1e-6, atol=0)


@every_loss
def test_autocast_and_half_precision_features_do_not_lower_a_losss_precision(name):
    features, pids, domains = random_batch()
    features = (features + 10).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = PAIRS[name][0](features, pids, domains)
    assert loss.dtype == torch.float32
    assert loss == PAIRS[name][0](features.float(), pids, domains)
    exact = loop_of(name, (features.double(), pids, domains))
    assert loss.item() == pytest.approx(exact, rel=1e-5)
