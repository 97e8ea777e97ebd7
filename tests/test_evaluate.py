"""retrieval.py against hand numbers, brute force over all orders of ties and scikit-learn."""

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
from metabin.evaluate import retrieval as module
from metabin.evaluate.retrieval import evaluate, extract_features, retrieval

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def with_scores(scores):
    """Query and gallery features whose cosines are `scores` (Q, G) up to one positive factor, ties kept."""
    scores = torch.tensor(scores, dtype=torch.float64)
    columns = scores.T / (2 * scores.abs().max() * len(scores) ** 0.5)  # (G, Q)
    rest = (1 - columns.square().sum(dim=1, keepdim=True)).sqrt()  # (G, 1)
    return torch.eye(len(scores), len(scores) + 1), torch.cat([columns, rest], dim=1)


def random_problem(num_query=40, num_gallery=150, num_ids=12, dim=16, seed=0):
    """Features and labels in the order of `retrieval`'s arguments."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high):
        return [torch.randint(high, (n,), generator=generator) for n in (num_query, num_gallery)]

    pids, camids = draw(num_ids), draw(3)
    centres = torch.randn(num_ids, dim, generator=generator)
    noise = [torch.randn(len(p), dim, generator=generator) for p in pids]
    features = [centres[p] + 2 * n for p, n in zip(pids, noise, strict=True)]
    return *features, *pids, *camids


def assert_equal(a, b, atol=0.0):
    """Two retrievals with the same ranks, and average precisions that differ by `atol` at most."""
    for name in ("queries", "pids", "ahead", "tied_wrong", "tied_matches", "inp"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    torch.testing.assert_close(a.ap, b.ap, rtol=0, atol=atol)


# oracles


def brute_force(query, gallery, query_pids, gallery_pids, query_camids, gallery_camids):
    """Per query None, or (CMC to rank 6, first hit) as means over every order of ties, AP, INP.

    Features are whole numbers.
    """
    answers = []
    for q, pid, camera in zip(query, query_pids, query_camids, strict=True):
        kept = []
        for g, other_pid, other_camera in zip(gallery, gallery_pids, gallery_camids, strict=True):
            if pid != other_pid or camera != other_camera:
                dot = sum(x * y for x, y in zip(q, g, strict=True))
                # the squared cosine with its sign has the same order
                score = Fraction(dot * abs(dot), sum(x * x for x in g))
                kept.append((float(score), pid == other_pid))
        labels, scores = [match for _, match in kept], [score for score, _ in kept]
        if not any(labels):
            answers.append(None)
            continue
        firsts = []
        for order in permutations(kept):
            ranked = sorted(order, key=lambda item: -item[0])  # stable: ties stay in this order
            firsts.append(1 + [match for _, match in ranked].index(True))
        cmc = [sum(first <= k for first in firsts) / len(firsts) for k in range(1, 7)]
        lowest = min(score for score, match in kept if match)
        inp = sum(labels) / sum(score >= lowest for score in scores)
        ap = average_precision_score(labels, scores)
        answers.append((cmc, sum(firsts) / len(firsts), ap, inp))
    return answers


vectors = st.tuples(*[st.integers(-1, 1)] * 3).filter(any)
people = st.tuples(vectors, st.integers(0, 1), st.integers(0, 1))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(people, min_size=1, max_size=4), st.lists(people, min_size=1, max_size=5))
def test_every_number_equals_brute_force_over_all_orders_of_ties(query, gallery):
    query, query_pids, query_camids = zip(*query, strict=True)
    gallery, gallery_pids, gallery_camids = zip(*gallery, strict=True)
    labels = query_pids, gallery_pids, query_camids, gallery_camids
    answers = brute_force(query, gallery, *labels)
    features = torch.tensor(query).float(), torch.tensor(gallery).float()
    arguments = *features, *map(torch.tensor, labels)
    matched = [i for i, answer in enumerate(answers) if answer is not None]
    if not matched:
        with pytest.raises(ValueError, match="no query has a match"):
            retrieval(*arguments)
        return
    result = retrieval(*arguments)
    assert result.queries.tolist() == matched
    assert result.num_unmatched == len(answers) - len(matched)
    columns = zip(*[answers[i] for i in matched], strict=True)
    computed = result.hits(6), result.first_hit, result.ap, result.inp
    for values, column in zip(computed, columns, strict=True):
        expected = torch.tensor(column, dtype=torch.float64)
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-12)


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
    pairs = zip(query_pids, scores, strict=True)
    expected = [average_precision_score(gallery_pids == pid, row) for pid, row in pairs]
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(result.ap, expected, rtol=0, atol=1e-12)


# by hand


def test_two_queries_by_hand():
    # Query 0 sees right, wrong, right, wrong; query 1 sees wrong, wrong, wrong, right.
    query, gallery = with_scores([[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]])
    result = retrieval(query, gallery, torch.tensor([0, 1]), torch.tensor([0, 2, 0, 1]))
    assert result.first_hit.tolist() == [1, 4]
    assert result.hits(4).mean(dim=0).tolist() == [0.5, 0.5, 0.5, 1]
    assert (result.rank1, result.rank(4)) == (0.5, 1)
    assert result.mAP == pytest.approx(((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert result.mINP == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert result.values("rank1").tolist() == [1, 0]
    assert torch.equal(result.values("mINP"), result.inp)
    assert repr(result).startswith(
        "Retrieval(Rank-1 50.0%, Rank-5 100.0%, Rank-10 100.0%, mAP 54.2%"
    )


def test_images_of_the_same_identity_and_camera_are_left_out():
    query, gallery = with_scores([[0.9, 0.8, 0.7]])
    pids = torch.tensor([4]), torch.tensor([4, 5, 4])
    assert retrieval(query, gallery, *pids).rank1 == 1
    # The best match is from the query's own camera and goes; that camera's wrong image stays.
    result = retrieval(query, gallery, *pids, torch.tensor([1]), torch.tensor([1, 1, 2]))
    assert (result.rank1, result.rank(2), result.mAP, result.mINP) == (0, 1, 0.5, 0.5)


def test_a_query_without_a_match_is_counted_and_said():
    query, gallery = with_scores([[0.9, 0.8], [0.8, 0.9], [0.5, 0.4]])
    pids, gallery_pids = torch.tensor([7, 1, 0]), torch.tensor([0, 1])
    result = retrieval(query, gallery, pids, gallery_pids)
    assert result.num_unmatched == 1 and result.rank1 == result.mAP == 1
    assert result.queries.tolist() == [1, 2] and result.pids.tolist() == [1, 0]
    assert "left out: 1 queries without a match" in repr(result)
    assert "left out" not in repr(retrieval(query[1:], gallery, pids[1:], gallery_pids))
    # A query whose only matches come from its own camera has no match either.
    cameras = torch.tensor([0, 0, 1]), torch.tensor([0, 0])
    assert retrieval(query, gallery, pids, gallery_pids, *cameras).num_unmatched == 2


def test_without_any_match_the_message_fits_the_cause():
    query, gallery, *pids, _, _ = random_problem()
    cameras = torch.zeros(40, dtype=torch.long), torch.zeros(150, dtype=torch.long)
    with pytest.raises(ValueError, match="40 queries have one from their own camera"):
        retrieval(query, gallery, *pids, *cameras)
    with pytest.raises(ValueError, match="they have no person in common"):
        retrieval(query, gallery, pids[0], pids[1] + 100, *cameras)


# fairness and invariance


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("matches_first", [True, False])
def test_a_collapsed_model_scores_like_a_random_order(matches_first, device):
    feature = torch.randn(1, 2048, generator=torch.Generator().manual_seed(0)).to(device)
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
    query = torch.randn(5, 333, generator=generator).to(device)
    image = torch.randn(1, 333, generator=generator)
    others = torch.randn(500, 333, generator=generator)
    gallery = torch.cat([image, others, 4 * image]).to(device)  # a copy four times as long
    pids = torch.tensor([0] + [1] * 500 + [2])
    first, last = [retrieval(query, gallery, torch.full((5,), pid), pids) for pid in (0, 2)]
    assert torch.equal(first.first_hit, last.first_hit) and torch.equal(first.ap, last.ap)
    assert first.tied_wrong.tolist() == last.tied_wrong.tolist() == [1] * 5


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_result_does_not_depend_on_the_chunk(chunk, monkeypatch):
    expected = retrieval(*random_problem())
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert_equal(retrieval(*random_problem()), expected, atol=1e-14)


def test_the_result_does_not_depend_on_the_order_of_the_gallery_and_the_length_of_features():
    query, gallery, query_pids, gallery_pids, query_camids, gallery_camids = random_problem()
    expected = retrieval(query, gallery, query_pids, gallery_pids, query_camids, gallery_camids)
    order = torch.randperm(len(gallery), generator=torch.Generator().manual_seed(5))
    labels = query_pids, gallery_pids[order], query_camids, gallery_camids[order]
    assert_equal(retrieval(query, gallery[order], *labels), expected)
    lengths = torch.logspace(-6, 6, len(gallery))[:, None]
    labels = query_pids, gallery_pids, query_camids, gallery_camids
    assert torch.equal(retrieval(query, gallery * lengths, *labels).first_hit, expected.first_hit)


def test_with_one_match_each_map_is_minp_is_the_mean_reciprocal_rank():
    query, gallery, *_ = random_problem(num_query=60, num_gallery=60)
    result = retrieval(query, gallery, torch.arange(60), torch.arange(60))
    mean = result.first_hit.reciprocal().mean().item()
    assert result.mAP == result.mINP == pytest.approx(mean, rel=1e-6) and 0 < result.mAP < 1


def test_the_inputs_are_left_as_they_were():
    query, gallery, *labels = random_problem()
    query, gallery = query.double(), gallery.double()
    before = query.clone(), gallery.clone()
    retrieval(query, gallery, *labels)
    assert torch.equal(query, before[0]) and torch.equal(gallery, before[1])


# bad input


WRONG = [
    (0, lambda x: x[:, :-1], "same length"),
    (0, lambda x: x[:0], r"query features must be \(N, D\)"),
    (1, lambda x: x[:0], r"gallery features must be \(N, D\)"),
    (0, lambda x: x / 0, "query features hold NaN or infinity"),
    (1, lambda x: x * torch.nan, "gallery features hold NaN or infinity"),
    (2, lambda x: x[:-1], r"query pids must be \(40,\)"),
    (3, lambda x: x[:-1], r"gallery pids must be \(150,\)"),
    (4, lambda x: x[:-1], r"query camids must be \(40,\)"),
    (5, lambda x: x[:, None], r"gallery camids must be \(150,\)"),
    (5, lambda x: None, "camera numbers of both"),
]


@pytest.mark.parametrize("position, change, message", WRONG)
def test_what_does_not_fit_raises(position, change, message):
    problem = list(random_problem())
    problem[position] = change(problem[position])
    with pytest.raises(ValueError, match=message):
        retrieval(*problem)


@pytest.mark.parametrize("metric", ["map", "rank", "rank0", "rank-1", "1", "Rank-1"])
def test_an_unknown_metric_raises_and_lists_the_choices(metric):
    with pytest.raises(ValueError, match='choose "mAP", "mINP"'):
        retrieval(*random_problem()).values(metric)


# features


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
    rows = torch.arange(num)
    return ImageSet(images, rows % 4, rows // 4, 0 * rows, ("a",))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [1, 4, 256])
def test_features_equal_those_of_one_image_at_a_time(batch_size, device):
    torch.manual_seed(0)
    model, images = TinyModel().to(device), image_set()
    features = extract_features(model, images, batch_size)
    model.eval()
    rows = [model.embed(normalize(image[None].to(device))) for image in images.images]
    expected = torch.cat(rows).cpu()
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert features.shape == (11, 8) and features.dtype == torch.float32
    assert features.device.type == "cpu"
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    probe = nn.Linear(8, 2)  # can be trained on the features
    probe(features).sum().backward()
    assert probe.weight.grad.abs().sum() > 0


def test_every_module_is_afterwards_in_the_mode_it_was_in():
    model = TinyModel().train()
    model.norm.eval()  # a frozen norm stays frozen
    before = {name: value.clone() for name, value in model.state_dict().items()}
    extract_features(model, image_set())
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    model.embed = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        extract_features(model, image_set())
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)


@pytest.mark.parametrize("device", DEVICES)
def test_evaluate_extracts_and_retrieves_under_the_camera_rule(device):
    torch.manual_seed(0)
    model, query, gallery = TinyModel().to(device), image_set(7, seed=1), image_set(23, seed=2)
    features = extract_features(model, query), extract_features(model, gallery)
    expected = retrieval(*features, query.pids, gallery.pids, query.camids, gallery.camids)
    result = evaluate(model, query, gallery, batch_size=5)
    torch.testing.assert_close(result.ap, expected.ap)
    assert result.mAP != retrieval(*features, query.pids, gallery.pids).mAP


def test_a_model_without_parameters_can_be_evaluated_and_an_empty_set_raises():
    class Pixels(nn.Module):
        def embed(self, images):
            return images.flatten(1)

    images = image_set()
    assert evaluate(Pixels(), images[:4], images[4:]).num_unmatched == 0
    with pytest.raises(ValueError, match="image set is empty"):
        extract_features(Pixels(), images[:0])
