"""evaluate.py against hand numbers, brute force over all orders of ties and scikit-learn."""

from fractions import Fraction
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import nn

from metabin.data.augment import normalize
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import evaluate, extract_features, retrieval

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def with_scores(scores):
    """Query and gallery features whose cosines are `scores` (Q, G) up to one positive factor, ties kept."""
    scores = torch.tensor(scores, dtype=torch.float64)
    columns = scores.T / (2 * scores.abs().max() * len(scores) ** 0.5)  # (G, Q)
    rest = (1 - columns.square().sum(dim=1, keepdim=True)).sqrt()  # (G, 1)
    return torch.eye(len(scores), len(scores) + 1), torch.cat([columns, rest], dim=1)


def random_problem(num_query=40, num_gallery=150, num_ids=12, dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    query_pids, gallery_pids = (
        torch.randint(num_ids, (n,), generator=generator) for n in (num_query, num_gallery)
    )
    centres = torch.randn(num_ids, dim, generator=generator)
    query = centres[query_pids] + 2 * torch.randn(num_query, dim, generator=generator)
    gallery = centres[gallery_pids] + 2 * torch.randn(num_gallery, dim, generator=generator)
    query_camids, gallery_camids = (
        torch.randint(3, (n,), generator=generator) for n in (num_query, num_gallery)
    )
    return query, gallery, query_pids, gallery_pids, query_camids, gallery_camids


def numbers_of(result):
    return [result.queries, result.pids, result.ahead, result.tied_wrong, result.tied_matches]


# ------------------------------------------------------------------------------------------------ oracles


def brute_force(query, gallery, query_pids, gallery_pids, query_camids, gallery_camids, max_rank):
    """Integer features; per query None or (CMC, first hit) as means over every order of the gallery, AP, INP."""
    answers = []
    for q, pid, camera in zip(query, query_pids, query_camids, strict=True):
        kept = []
        for g, other_pid, other_camera in zip(gallery, gallery_pids, gallery_camids, strict=True):
            if pid != other_pid or camera != other_camera:
                dot = sum(x * y for x, y in zip(q, g, strict=True))
                score = Fraction(
                    dot * abs(dot), sum(x * x for x in g)
                )  # squared cosine with its sign: the same order
                kept.append((float(score), pid == other_pid))
        labels, scores = [match for _, match in kept], [score for score, _ in kept]
        if not any(labels):
            answers.append(None)
            continue
        firsts = []
        for order in permutations(kept):
            ranked = sorted(
                order, key=lambda item: item[0], reverse=True
            )  # stable: ties stay in this order
            firsts.append(1 + next(i for i, (_, match) in enumerate(ranked) if match))
        cmc = [sum(first <= k for first in firsts) / len(firsts) for k in range(1, max_rank + 1)]
        lowest = min(score for score, match in kept if match)
        inp = sum(labels) / sum(score >= lowest for score in scores)
        answers.append(
            (cmc, sum(firsts) / len(firsts), average_precision_score(labels, scores), inp)
        )
    return answers


vectors = st.tuples(*[st.integers(-1, 1)] * 3).filter(any)
people = st.tuples(vectors, st.integers(0, 1), st.integers(0, 1))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(people, min_size=1, max_size=4), st.lists(people, min_size=1, max_size=5))
def test_every_number_equals_brute_force_over_all_orders_of_ties(query, gallery):
    query, query_pids, query_camids = zip(*query, strict=True)
    gallery, gallery_pids, gallery_camids = zip(*gallery, strict=True)
    labels = query_pids, gallery_pids, query_camids, gallery_camids
    answers = brute_force(query, gallery, *labels, max_rank=6)
    arguments = [
        torch.tensor(query).float(),
        torch.tensor(gallery).float(),
        *map(torch.tensor, labels),
    ]
    matched = [i for i, answer in enumerate(answers) if answer is not None]
    if not matched:
        with pytest.raises(ValueError, match="no query has a match"):
            retrieval(*arguments)
        return
    result = retrieval(*arguments)
    columns = zip(*(answers[i] for i in matched), strict=True)
    cmc, first_hit, ap, inp = (torch.tensor(column, dtype=torch.float64) for column in columns)
    assert result.queries.tolist() == matched and result.num_unmatched == len(answers) - len(
        matched
    )
    torch.testing.assert_close(result.hits(6), cmc, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.first_hit, first_hit, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.ap, ap, rtol=0, atol=1e-12)
    torch.testing.assert_close(result.inp, inp, rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("levels", [None, 8, 2], ids=["no ties", "some ties", "mostly ties"])
def test_average_precision_equals_scikit_learn(levels, device):
    generator = torch.Generator().manual_seed(3)
    scores = torch.rand(20, 300, generator=generator)
    if levels:
        scores = (scores * levels).floor() + 1
    query_pids, gallery_pids = torch.arange(20) % 5, torch.randint(5, (300,), generator=generator)
    query, gallery = (features.to(device) for features in with_scores(scores.tolist()))
    result = retrieval(query, gallery, query_pids, gallery_pids)
    expected = [
        average_precision_score(gallery_pids == pid, row)
        for pid, row in zip(query_pids, scores, strict=True)
    ]
    torch.testing.assert_close(
        result.ap, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
    )


# ------------------------------------------------------------------------------------------ by hand


def test_two_queries_by_hand():
    # Query 0 sees right, wrong, right, wrong; query 1 sees wrong, wrong, wrong, right.
    query, gallery = with_scores([[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]])
    result = retrieval(query, gallery, torch.tensor([0, 1]), torch.tensor([0, 2, 0, 1]))
    assert result.first_hit.tolist() == [1, 4]
    assert result.hits(4).mean(dim=0).tolist() == [0.5, 0.5, 0.5, 1]
    assert (result.rank1, result.rank(4)) == (0.5, 1)
    assert result.mAP == pytest.approx(((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert result.mINP == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert result.values("rank1").tolist() == [1, 0] and torch.equal(
        result.values("mINP"), result.inp
    )


def test_images_of_the_same_identity_and_camera_are_left_out():
    query, gallery = with_scores([[0.9, 0.8, 0.7]])
    pids, gallery_pids = torch.tensor([4]), torch.tensor([4, 5, 4])
    assert retrieval(query, gallery, pids, gallery_pids).rank1 == 1
    # The best match comes from the query's own camera and goes; the wrong image from that camera stays.
    result = retrieval(
        query, gallery, pids, gallery_pids, torch.tensor([1]), torch.tensor([1, 1, 2])
    )
    assert (result.rank1, result.rank(2), result.mAP, result.mINP) == (0, 1, 0.5, 0.5)


def test_a_query_without_a_match_is_counted_and_said():
    query, gallery = with_scores([[0.9, 0.8], [0.8, 0.9], [0.5, 0.4]])
    pids, gallery_pids = torch.tensor([7, 1, 0]), torch.tensor([0, 1])
    result = retrieval(query, gallery, pids, gallery_pids)
    assert (
        result.num_unmatched == 1
        and result.queries.tolist() == [1, 2]
        and result.pids.tolist() == [1, 0]
    )
    assert result.rank1 == result.mAP == 1
    assert "left out: 1 queries without a match" in repr(result)
    assert "left out" not in repr(retrieval(query[1:], gallery, pids[1:], gallery_pids))
    # A query whose only matches come from its own camera has no match either.
    assert (
        retrieval(
            query, gallery, pids, gallery_pids, torch.tensor([0, 0, 1]), torch.tensor([0, 0])
        ).num_unmatched
        == 2
    )


def test_the_representation_prints_percent():
    query, gallery = with_scores([[0.9, 0.8, 0.7], [0.9, 0.8, 0.7]])
    text = repr(retrieval(query, gallery, torch.tensor([0, 1]), torch.tensor([0, 1, 2])))
    assert text == (
        "Retrieval(Rank-1 50.0%, Rank-5 100.0%, Rank-10 100.0%, mAP 75.0%, mINP 75.0%; 2 queries of 2 identities)"
    )


# ------------------------------------------------------------------------------------------ fairness and invariance


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("matches_first", [True, False])
def test_a_collapsed_model_scores_like_a_random_order(matches_first, device):
    feature = torch.randn(1, 2048, generator=torch.Generator().manual_seed(0), device="cpu").to(
        device
    )
    gallery_pids = torch.arange(1003) // 3  # one of 335 identities is the query's
    query_pid = torch.tensor([0 if matches_first else 333])
    result = retrieval(feature, feature.expand(1003, -1), query_pid, gallery_pids)
    assert result.rank1 == pytest.approx(3 / 1003)
    assert result.rank(2) == pytest.approx(1 - (1000 / 1003) * (999 / 1002))
    assert result.mAP == result.mINP == pytest.approx(3 / 1003)
    assert result.first_hit.item() == pytest.approx(1004 / 4)


@pytest.mark.parametrize("device", DEVICES)
def test_equal_features_tie_exactly_wherever_they_stand_in_the_gallery(device):
    generator = torch.Generator().manual_seed(1)
    query, image = (
        torch.randn(5, 333, generator=generator),
        torch.randn(1, 333, generator=generator),
    )
    gallery = torch.cat(
        [image, torch.randn(500, 333, generator=generator), 4 * image]
    )  # a copy four times as long
    pids = torch.tensor([0] + [1] * 500 + [2])
    first, last = (
        retrieval(query.to(device), gallery.to(device), torch.full((5,), pid), pids)
        for pid in (0, 2)
    )
    assert torch.equal(first.first_hit, last.first_hit) and torch.equal(first.ap, last.ap)
    assert first.tied_wrong.tolist() == last.tied_wrong.tolist() == [1] * 5


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_result_does_not_depend_on_the_chunk(chunk):
    expected, result = retrieval(*random_problem()), retrieval(*random_problem(), chunk=chunk)
    assert all(map(torch.equal, numbers_of(expected), numbers_of(result)))
    torch.testing.assert_close(result.ap, expected.ap, rtol=0, atol=1e-14)
    assert torch.equal(result.inp, expected.inp)


def test_the_result_does_not_depend_on_the_order_of_the_gallery():
    query, gallery, query_pids, gallery_pids, query_camids, gallery_camids = random_problem()
    expected = retrieval(query, gallery, query_pids, gallery_pids, query_camids, gallery_camids)
    order = torch.randperm(len(gallery), generator=torch.Generator().manual_seed(5))
    result = retrieval(
        query, gallery[order], query_pids, gallery_pids[order], query_camids, gallery_camids[order]
    )
    assert all(map(torch.equal, numbers_of(expected), numbers_of(result)))
    assert torch.equal(result.ap, expected.ap) and torch.equal(result.inp, expected.inp)


def test_the_length_of_a_feature_does_not_matter():
    query, gallery, *labels = random_problem()
    lengths = torch.logspace(-6, 6, len(gallery))[:, None]
    assert torch.equal(
        retrieval(query, gallery * lengths, *labels).first_hit,
        retrieval(query, gallery, *labels).first_hit,
    )


def test_with_one_match_each_map_is_minp_is_the_mean_reciprocal_rank():
    query, gallery, *_ = random_problem(num_query=60, num_gallery=60)
    result = retrieval(query, gallery, torch.arange(60), torch.arange(60))
    assert (
        result.mAP
        == result.mINP
        == pytest.approx(result.first_hit.reciprocal().mean().item(), rel=1e-6)
    )
    assert 0 < result.mAP < 1


def test_the_inputs_are_left_as_they_were():
    query, gallery, *labels = (
        tensor.double() if tensor.is_floating_point() else tensor for tensor in random_problem()
    )
    before = query.clone(), gallery.clone()
    retrieval(query, gallery, *labels)
    assert torch.equal(query, before[0]) and torch.equal(gallery, before[1])


# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("position", [0, 1])
def test_features_that_are_not_finite_raise(position, value):
    problem = list(random_problem())
    problem[position][3, 2] = value
    with pytest.raises(
        ValueError, match=f"{('query', 'gallery')[position]} features hold NaN or infinity"
    ):
        retrieval(*problem)


@pytest.mark.parametrize(
    "position, change, message",
    [
        (0, lambda x: x[:, :-1], "same length"),
        (0, lambda x: x[:0], r"query features must be \(N, D\)"),
        (1, lambda x: x[:0], r"gallery features must be \(N, D\)"),
        (2, lambda x: x[:-1], r"query pids must be \(40,\)"),
        (3, lambda x: x[:-1], r"gallery pids must be \(150,\)"),
        (4, lambda x: x[:-1], r"query camids must be \(40,\)"),
        (5, lambda x: x[:, None], r"gallery camids must be \(150,\)"),
        (5, lambda x: None, "camera numbers of both"),
        (3, lambda x: x + 100, "no query has a match"),
    ],
)
def test_shapes_that_do_not_fit_raise(position, change, message):
    problem = list(random_problem())
    problem[position] = change(problem[position])
    with pytest.raises(ValueError, match=message):
        retrieval(*problem)


@pytest.mark.parametrize("metric", ["map", "rank", "rank0", "rank-1", "1", "Rank-1"])
def test_an_unknown_metric_raises_and_lists_the_choices(metric):
    with pytest.raises(ValueError, match='choose "mAP", "mINP"'):
        retrieval(*random_problem()).values(metric)


# ------------------------------------------------------------------------------------------ features


class TinyModel(nn.Module):
    """Dropout and BN, so that a forgotten evaluation mode shows."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5)

    def embed(self, images):
        return self.drop(self.norm(self.conv(images))).mean(dim=(2, 3))


def image_set(num=11, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (num, 3, 8, 6), dtype=torch.uint8, generator=generator)
    return ImageSet(
        images,
        torch.arange(num) % 4,
        torch.arange(num) // 4,
        torch.zeros(num, dtype=torch.int64),
        ("a",),
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [1, 4, 256])
def test_features_equal_those_of_one_image_at_a_time(batch_size, device):
    torch.manual_seed(0)
    model, images = TinyModel().to(device), image_set()
    features = extract_features(model, images, batch_size)
    model.eval()
    expected = torch.cat(
        [model.embed(normalize(image[None].to(device))) for image in images.images]
    ).cpu()
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert (
        features.shape == (11, 8)
        and features.dtype == torch.float32
        and features.device.type == "cpu"
    )
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_every_module_is_afterwards_in_the_mode_it_was_in():
    model = TinyModel().train()
    model.norm.eval()  # a frozen norm stays frozen
    before = {name: value.clone() for name, value in model.state_dict().items()}
    extract_features(model, image_set())
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.embed = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        extract_features(model, image_set())
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)


def test_a_probe_can_be_trained_on_the_features():
    features = extract_features(TinyModel(), image_set())
    probe = nn.Linear(8, 2)
    probe(features).sum().backward()
    assert probe.weight.grad.abs().sum() > 0


def test_a_model_without_parameters_can_be_evaluated():
    class Pixels(nn.Module):
        def embed(self, images):
            return images.flatten(1)

    images = image_set()
    assert evaluate(Pixels(), images[:4], images[4:]).num_unmatched == 0


@pytest.mark.parametrize("device", DEVICES)
def test_evaluate_extracts_and_retrieves_under_the_camera_rule(device):
    torch.manual_seed(0)
    model, query, gallery = TinyModel().to(device), image_set(7, seed=1), image_set(23, seed=2)
    features = extract_features(model, query), extract_features(model, gallery)
    expected = retrieval(*features, query.pids, gallery.pids, query.camids, gallery.camids)
    result = evaluate(model, query, gallery, batch_size=5)
    torch.testing.assert_close(result.ap, expected.ap)
    assert result.mAP != retrieval(*features, query.pids, gallery.pids).mAP


def test_an_empty_image_set_raises():
    with pytest.raises(ValueError, match="image set is empty"):
        extract_features(TinyModel(), image_set()[:0])
