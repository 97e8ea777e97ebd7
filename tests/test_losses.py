"""The losses against loops in the paper's letters, hand-sized numbers, finite differences and degenerate batches."""

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

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

# --- the paper's equations as loops over plain numbers -------------------------------------------------------------


def mean(terms):
    return math.fsum(terms) / len(terms) if terms else 0.0


def loop_id(
    logits, y, eps=0.1, others=False
):  # Eq. 2 with the label smoothing of [38], or that of the released code
    terms = []
    for z, label in zip(logits.tolist(), y.tolist(), strict=True):
        log_p = [z_j - math.log(math.fsum(math.exp(z_k) for z_k in z)) for z_j in z]
        q = [(1 - eps) * (j == label) + eps / len(z) for j in range(len(z))]
        if others:
            q = [1 - eps if j == label else eps / (len(z) - 1) for j in range(len(z))]
        terms.append(-math.fsum(q_j * l_j for q_j, l_j in zip(q, log_p, strict=True)))
    return mean(terms)


def loop_triplet(f, y, m=0.3):  # Eq. 3
    f, y, terms = f.tolist(), y.tolist(), []
    for a in range(len(f)):
        positives = [math.dist(f[a], f[i]) for i in range(len(f)) if y[i] == y[a] and i != a]
        negatives = [math.dist(f[a], f[i]) for i in range(len(f)) if y[i] != y[a]]
        if positives and negatives:
            terms.append(max(max(positives) - min(negatives) + m, 0.0))
    return mean(terms)


def loop_scatter(f, k):  # Eq. 6
    f, k, terms = f.tolist(), k.tolist(), []
    for a, domain in zip(f, k, strict=True):
        mates = [f[i] for i in range(len(f)) if k[i] == domain]
        centroid = [mean(column) for column in zip(*mates, strict=True)]
        norms = math.hypot(*a) * math.hypot(*centroid)
        terms.append(
            math.fsum(x * c for x, c in zip(a, centroid, strict=True)) / norms
            if norms > 1e-12
            else 0.0
        )
    return mean(terms)


def loop_normalized_scatter(
    f, k
):  # Eq. 6 with features at unit length and equal weight for every domain
    f, domains = [[x / max(math.hypot(*a), 1e-12) for x in a] for a in f.tolist()], k.tolist()
    each = []
    for domain in set(domains):
        mates = torch.tensor(
            [a for a, own in zip(f, domains, strict=True) if own == domain], dtype=torch.float64
        )
        each.append(mean([F.cosine_similarity(a, mates.mean(0), dim=0).item() for a in mates]))
    return mean(each)


def loop_shuffle(
    f, y, k, any_id=False, far=max, near=min
):  # Eq. 7; both negatives of another identity
    f, y, k, terms = f.tolist(), y.tolist(), k.tolist(), []
    for a in range(len(f)):
        inter = [
            math.dist(f[a], f[i])
            for i in range(len(f))
            if (any_id or y[i] != y[a]) and k[i] != k[a]
        ]
        intra = [math.dist(f[a], f[i]) for i in range(len(f)) if y[i] != y[a] and k[i] == k[a]]
        if inter and intra:
            terms.append(math.log1p(math.exp(far(inter) - near(intra))))
    return mean(terms)


class Labels(NamedTuple):
    """All that a criterion looks at in a batch."""

    pids: torch.Tensor
    domains: torch.Tensor


PAIRS = {  # name -> (the package's loss, the loop), both of features, pids, domains
    "triplet": (lambda f, y, k: triplet_loss(f, y), lambda f, y, k: loop_triplet(f, y)),
    "scatter": (lambda f, y, k: scatter_loss(f, k), lambda f, y, k: loop_scatter(f, k)),
    "shuffle": (shuffle_loss, loop_shuffle),
    "normalized scatter": (
        lambda f, y, k: scatter_loss(f, k, "normalized"),
        lambda f, y, k: loop_normalized_scatter(f, k),
    ),
    "shuffle, any identity": (
        lambda f, y, k: shuffle_loss(f, y, k, "any identity"),
        lambda f, y, k: loop_shuffle(f, y, k, any_id=True),
    ),
    "shuffle, mean": (
        lambda f, y, k: shuffle_loss(f, y, k, "mean"),
        lambda f, y, k: loop_shuffle(f, y, k, far=mean, near=mean),
    ),
    "meta_train": (
        lambda f, y, k: META_TRAIN(f, None, Labels(y, k))[0],
        lambda f, y, k: loop_scatter(f, k) + loop_shuffle(f, y, k) + loop_triplet(f, y),
    ),
}
every_loss = pytest.mark.parametrize("name", PAIRS)


@st.composite
def batches(draw):
    """Features on a coarse grid, so that ties, duplicates and zeros happen; identities may live in several domains."""
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    grid = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    features = draw(st.lists(grid, min_size=n, max_size=n))
    labels = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=n, max_size=n))
    pids, domains = torch.tensor(labels).T
    return torch.tensor(features, dtype=torch.float64), pids, domains


def random_batch(seed=0, n=12, d=4, dtype=torch.float64):
    """Features in general position: 3 domains x 2 identities x 2 images."""
    draw = torch.Generator().manual_seed(seed)
    pids = torch.arange(n) // 2
    return torch.randn(n, d, dtype=dtype, generator=draw), pids, pids // 2


@every_loss
@given(batch=batches())
def test_a_loss_equals_its_loop_in_the_papers_letters(name, batch):
    loss, loop = PAIRS[name]
    assert loss(*batch).item() == pytest.approx(loop(*batch), abs=1e-9)


@every_loss
@given(batch=batches(), data=st.data())
def test_the_order_of_samples_and_the_names_of_ids_and_domains_do_not_matter(name, batch, data):
    loss, _ = PAIRS[name]
    features, pids, domains = batch
    order = torch.tensor(data.draw(st.permutations(range(len(pids)))))
    new_pids, new_domains = (torch.tensor(data.draw(st.permutations(range(n)))) * 7 for n in (4, 3))
    renamed = features[order], new_pids[pids[order]], new_domains[domains[order]]
    assert loss(*renamed).item() == pytest.approx(loss(*batch).item(), abs=1e-9)


@given(seed=st.integers(0, 2**32), eps=st.floats(0, 1))
def test_the_id_loss_is_cross_entropy_with_a_share_of_eps_spread_over_all_identities(seed, eps):
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 7, dtype=torch.float64, generator=draw) * 3
    pids = torch.randint(7, (5,), generator=draw)
    assert id_loss(logits, pids, eps).item() == pytest.approx(loop_id(logits, pids, eps), rel=1e-12)


# --- numbers that can be checked by eye ----------------------------------------------------------------------------


def test_the_id_loss_of_two_classes_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)  # probabilities 3/4 and 1/4
    by_hand = -0.95 * math.log(0.75) - 0.05 * math.log(0.25)
    assert id_loss(logits, torch.tensor([0]), 0.1).item() == pytest.approx(by_hand, rel=1e-12)


def test_the_triplet_loss_of_four_points_on_a_line_by_hand():
    features, pids = torch.tensor([[0.0], [1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1, 1])
    # d(a, p) - d(a, n): 1 - 3, 1 - 2, 2 - 2, 2 - 4; with m = 1.5 the second and the third are above zero
    assert triplet_loss(features, pids, margin=1.5).item() == pytest.approx((0.5 + 1.5) / 4)


def test_the_scatter_loss_of_two_domains_by_hand():
    features, domains = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]), torch.tensor([0, 0, 1])
    assert scatter_loss(features, domains).item() == pytest.approx((2 / math.sqrt(2) + 1) / 3)


def test_the_shuffle_loss_of_four_points_on_a_line_by_hand():
    features = torch.tensor([[0.0], [1.0], [3.0], [5.0]])
    pids, domains = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 0, 1, 1])
    # farthest of the other domain minus nearest of the same one: 5 - 1, 4 - 1, 3 - 2, 5 - 2
    by_hand = sum(math.log(1 + math.exp(z)) for z in (4, 3, 1, 3)) / 4
    assert shuffle_loss(features, pids, domains).item() == pytest.approx(by_hand)


def test_the_same_person_on_another_street_is_no_inter_domain_negative():
    features = torch.tensor([[0.0], [1.0], [100.0], [3.0]])
    pids, domains = torch.tensor([0, 1, 0, 2]), torch.tensor([0, 0, 1, 1])
    by_hand = [
        3 - 1,
        99 - 1,
        99 - 97,
        3 - 97,
    ]  # the first anchor's farthest is itself elsewhere: not counted
    assert shuffle_loss(features, pids, domains).item() == pytest.approx(
        sum(math.log1p(math.exp(z)) for z in by_hand) / 4
    )


@given(st.integers(0, 2**31), st.floats(0, 0.5))
def test_the_released_codes_smoothing_leaves_the_right_identity_more(seed, eps):
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pids = torch.tensor([0, 4, 2])
    assert id_loss(logits, pids, eps, "others").item() == pytest.approx(
        loop_id(logits, pids, eps, others=True)
    )


def test_a_criterion_is_the_weighted_sum_of_the_parts_that_it_names():
    features, pids, domains = random_batch()
    logits, labels = features @ torch.ones(4, 6, dtype=torch.float64), Labels(pids, domains)
    total, parts = Criterion("id+2.5 triplet", label_smoothing=0.2, margin=0.7)(
        features, logits, labels
    )
    assert parts == {"id": id_loss(logits, pids, 0.2), "triplet": triplet_loss(features, pids, 0.7)}
    assert total.item() == pytest.approx(
        loop_id(logits, pids, 0.2) + 2.5 * loop_triplet(features, pids, 0.7)
    )
    options = dict(smooth="others", centroid="normalized", mining="mean")
    total, _ = Criterion("id + scatter + shuffle", **options)(features, logits, labels)
    loops = loop_id(logits, pids, others=True), loop_normalized_scatter(features, domains)
    assert total.item() == pytest.approx(
        sum(loops) + loop_shuffle(features, pids, domains, far=mean, near=mean)
    )


def test_the_papers_criteria_are_equations_4_8_and_10():
    assert list(BASE.weights.items()) == [("id", 1.0), ("triplet", 1.0)]
    assert META_TRAIN.weights == {"scatter": 1.0, "shuffle": 1.0, "triplet": 1.0}
    assert (
        META_TEST.weights == {"triplet": 1.0} and BASE.needs_logits and not META_TEST.needs_logits
    )
    assert {c.margin for c in (BASE, META_TRAIN, META_TEST)} == {
        0.3
    } and BASE.label_smoothing == 0.1


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


def test_a_loss_refuses_a_misspelt_option_and_too_much_smoothing():
    features, pids, domains = random_batch()
    for call in (
        lambda: id_loss(features, pids, smooth="other"),
        lambda: scatter_loss(features, domains, "normalised"),
        lambda: shuffle_loss(features, pids, domains, "any"),
    ):
        with pytest.raises(ValueError, match="no loss has the option"):
            call()
    with pytest.raises(ValueError, match="label_smoothing=0.9: with 4 identities at most 0.75"):
        id_loss(features, pids % 4, 0.9, "others")
    assert id_loss(features[:, :1], pids * 0, 0.0, "others").item() == 0


def test_the_id_loss_without_logits_is_refused_with_the_way_out():
    features, pids, domains = random_batch()
    with pytest.raises(ValueError, match="needs logits: pass the whole model"):
        BASE(features, None, Labels(pids, domains))


# --- other oracles -------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), margin=st.floats(0, 2), ids=st.integers(2, 6))
def test_the_triplet_loss_is_pytorch_metric_learnings_batch_hard_one(seed, margin, ids):
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(4 * ids, 8, generator=draw, dtype=torch.float64)
    pids = torch.arange(ids).repeat_interleave(4)[torch.randperm(4 * ids, generator=draw)]
    distance = LpDistance(normalize_embeddings=False)
    theirs = TripletMarginLoss(margin=margin, distance=distance, reducer=MeanReducer())
    hardest = BatchHardMiner(distance=distance)(features, pids)
    assert triplet_loss(features, pids, margin).item() == pytest.approx(
        theirs(features, pids, hardest).item()
    )


@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_distances_scale_with_the_features_and_do_not_see_a_shift_and_cosines_do_the_reverse(
    seed, scale, shift
):
    features, pids, domains = random_batch(seed)
    moved = features + shift
    for loss in (
        lambda f, m: triplet_loss(f, pids, m),
        lambda f, m: shuffle_loss(f, pids, domains),
    ):
        assert loss(moved, 0.3).item() == pytest.approx(
            loss(features, 0.3).item(), rel=1e-9, abs=1e-9
        )
    assert triplet_loss(features * scale, pids, 0.3 * scale).item() == pytest.approx(
        scale * triplet_loss(features, pids, 0.3).item(), rel=1e-9
    )
    for centroid in ("raw", "normalized"):
        before, after = (
            scatter_loss(f, domains, centroid).item() for f in (features, features * scale)
        )
        assert after == pytest.approx(before, rel=1e-9)


# --- gradients -----------------------------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_first_and_second_derivatives_equal_finite_differences(name, seed):
    features, pids, domains = random_batch(seed)

    def loss(f):
        return PAIRS[name][0](f, pids, domains)

    assert torch.autograd.gradcheck(loss, features.requires_grad_())
    assert torch.autograd.gradgradcheck(loss, features)


def test_the_id_loss_has_the_derivatives_of_finite_differences():
    logits = torch.randn(
        4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: id_loss(z, torch.tensor([0, 3, 3, 1])), logits)


DEGENERATE = {  # name -> (how to make the features degenerate, pids, domains)
    "one domain": (lambda f: f, [0, 0, 1, 1], [0, 0, 0, 0]),
    "one identity": (lambda f: f, [0, 0, 0, 0], [0, 0, 1, 1]),
    "one identity per domain": (lambda f: f, [0, 0, 1, 1], [0, 0, 1, 1]),
    "one image of each": (lambda f: f, [0, 1, 2, 3], [0, 0, 1, 1]),
    "all features equal": (torch.ones_like, [0, 0, 1, 1], [0, 0, 1, 1]),
    "all features zero": (torch.zeros_like, [0, 0, 1, 1], [0, 0, 1, 1]),
    "duplicates": (lambda f: f[[0, 0, 1, 1]], [0, 0, 1, 1], [0, 1, 0, 1]),
    "a centroid at zero": (
        lambda f: f[0] * torch.tensor([[1.0], [-1], [1], [-1]]),
        [0, 0, 1, 1],
        [0, 0, 0, 0],
    ),
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


def test_anchors_that_cannot_count_leave_zero_and_zero_gradients():
    features = torch.randn(4, 3).requires_grad_()
    loss = triplet_loss(features, torch.zeros(4, dtype=torch.long)) + shuffle_loss(
        features, torch.arange(4), torch.zeros(4, dtype=torch.long)
    )
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss == 0 and not gradient.any()


# --- precision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_distances_of_features_with_an_offset_are_exact_to_float32_whatever_their_type(dtype):
    draw = torch.Generator().manual_seed(0)
    features = (100 + torch.randn(48, 64, generator=draw)).to(
        dtype
    )  # more rows than torch.cdist's exact limit of 25
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
    assert loss.item() == pytest.approx(PAIRS[name][1](features.double(), pids, domains), rel=1e-5)
