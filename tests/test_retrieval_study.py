"""Rank lists, pairs, cameras' styles and other people's rates, by brute force and by hand."""

import math
from collections import defaultdict

import pytest
import torch
from conftest import make_people
from torch.nn import functional as F

from metabin.analysis import (
    camera_styles,
    centred_by_camera,
    chance_of_order,
    middle_query,
    pair_similarities,
    rates_of_some,
    similar_first,
)
from metabin.evaluate.retrieval import retrieval
from metabin.streets import STYLE, World, make_streets

PEOPLE = make_people(num_domains=2, ids=4, images=4)  # 32 images of two streets, two cameras
FEATURES = F.normalize(torch.randn(32, 5, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("rule", [True, False])
def test_rank_lists_are_those_of_a_loop_over_the_gallery(rule):
    queries = torch.tensor([0, 5, 17, 31])
    order, right = similar_first(FEATURES, queries, PEOPLE, 6, rule)
    for query, found, hits in zip(queries.tolist(), order.tolist(), right.tolist(), strict=True):
        gallery = []
        for g in range(len(PEOPLE)):
            same = bool(PEOPLE.pids[g] == PEOPLE.pids[query])
            junk = same and PEOPLE.camids[g] == PEOPLE.camids[query] if rule else g == query
            if PEOPLE.domains[g] == PEOPLE.domains[query] and not junk:
                gallery.append((-(FEATURES[g] @ FEATURES[query]).item(), g, same))
        nearest = [(g, hit) for _, g, hit in sorted(gallery)[:6]]
        assert nearest == list(zip(found, hits, strict=True))


def test_more_pictures_than_the_gallery_has_are_refused():
    with pytest.raises(ValueError, match="only 14 gallery pictures, not 15"):
        similar_first(FEATURES, torch.tensor([0]), PEOPLE, 15)


def test_as_many_queries_are_above_the_middle_one_as_below():
    number, precisions = middle_query(FEATURES, PEOPLE), []
    for street in (PEOPLE.domains == 0, PEOPLE.domains == 1):
        f, pids, camids = FEATURES[street], PEOPLE.pids[street], PEOPLE.camids[street]
        precisions += retrieval(f, f, pids, pids, camids, camids).ap.tolist()
    own = precisions[number]
    assert sum(p < own for p in precisions) <= 16 and sum(p > own for p in precisions) <= 15


@pytest.mark.parametrize("length", [1, 7])
def test_every_pair_of_a_street_is_counted_once_and_in_its_kind(length):
    found, expected = pair_similarities(length * FEATURES, PEOPLE), defaultdict(list)
    for a, b in torch.combinations(torch.arange(len(PEOPLE))).tolist():
        if PEOPLE.domains[a] == PEOPLE.domains[b]:
            who = "same person" if PEOPLE.pids[a] == PEOPLE.pids[b] else "another person"
            where = "same camera" if PEOPLE.camids[a] == PEOPLE.camids[b] else "another camera"
            expected[f"{who}, {where}"].append((FEATURES[a] @ FEATURES[b]).item())
    assert found.keys() == expected.keys()
    for kind, cosines in expected.items():
        assert found[kind].tolist() == pytest.approx(cosines, abs=1e-6)


def test_the_chance_of_the_right_order_counts_pairs_and_ties_half():
    right, wrong = torch.tensor([1.0, 3.0, 3.0, 5.0]), torch.tensor([3.0, 0.0, 4.0])
    pairs = torch.cartesian_prod(right, wrong).tolist()
    expected = sum((r > w) + (r == w) / 2 for r, w in pairs) / len(pairs)
    assert chance_of_order(right, wrong) == pytest.approx(expected)


def test_every_camera_is_neutral_where_streets_do_not_differ():
    world = World(style=0, height=16, width=8)
    cameras, styles = camera_styles(make_streets(world, (0, 3), 1, cameras=2, images_per_camera=1))
    assert cameras == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert styles.shape == (4, len(STYLE)) and styles.abs().max() < 1e-5


def test_a_cameras_style_is_in_spreads_from_neutral():
    streets = make_streets(World(height=16, width=8), (2,), 1, cameras=2, images_per_camera=2)
    _, styles = camera_styles(streets)
    raw = streets.styles[streets.camids == 1][0].tolist()
    for column, (neutral, spread, _, _) in enumerate(STYLE.values()):
        expected = (raw[column] - neutral) / spread
        assert styles[1, column].item() == pytest.approx(expected, abs=1e-5)


def test_centring_removes_what_a_camera_adds_to_everybody():
    plain = torch.randn(len(PEOPLE), 5, generator=torch.Generator().manual_seed(1))
    casts = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(2))
    shifted = plain + casts[PEOPLE.domains, PEOPLE.camids]
    found, expected = centred_by_camera(shifted, PEOPLE), centred_by_camera(plain, PEOPLE)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(PEOPLE)))


def test_drawn_peoples_rates_spread_like_the_people_and_not_like_their_queries():
    pids = torch.arange(50).repeat(2)
    hits = pids.remainder(2).double()  # both queries of a person agree
    rates = rates_of_some(hits, pids, 25, 4000, torch.Generator().manual_seed(0))
    assert rates.mean().item() == pytest.approx(0.5, abs=0.01)
    assert rates.std().item() == pytest.approx(math.sqrt(0.25 / 25), rel=0.05)


def test_a_rate_of_people_with_different_numbers_of_queries_is_refused():
    with pytest.raises(ValueError, match="1 to 2 queries"):
        rates_of_some(torch.ones(3), torch.tensor([0, 0, 1]), 2, 10, torch.Generator())
