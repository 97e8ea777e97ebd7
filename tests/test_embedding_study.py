"""Distances, neighbours and pictures of features: by hand, by loops and by scikit-learn."""

import json

import pytest
import torch
from conftest import make_people
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_distances as sklearn_distances
from sklearn.neighbors import NearestNeighbors

from metabin.analysis import embed_in_plane, spaces
from metabin.analysis import embedding_study as study
from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.experiments import lesson_streets, load_network, read_results
from metabin.networks.model import build_model

STREETS = make_people(num_domains=3, ids=6)  # 4 pictures each, two by each of two cameras
PIDS, DOMAINS = STREETS.pids, STREETS.domains
QUERY = STREETS.camids == 0


def some_features() -> torch.Tensor:
    """Features that hold person and street, not of length 1, (N, 8)."""
    draw = torch.Generator().manual_seed(1)
    person, street = (torch.randn(n, 8, generator=draw) for n in (STREETS.num_ids, 3))
    return 2 * person[PIDS] + 2 * street[DOMAINS] + 1.5 * torch.randn(len(PIDS), 8, generator=draw)


FEATURES = some_features()
DISTANCE = study.cosine_distances(FEATURES)


def rank1(query, gallery) -> float:
    """Of some rows of FEATURES among others, by the package's retrieval."""
    return retrieval(FEATURES[query], FEATURES[gallery], PIDS[query], PIDS[gallery]).rank1


# ---- spaces --------------------------------------------------------------------------


def test_cosine_distances_are_scikit_learns():
    expected = torch.from_numpy(sklearn_distances(FEATURES.double().numpy()))
    torch.testing.assert_close(DISTANCE, expected, atol=1e-12, rtol=0)


def test_own_and_others_count_the_gallery_of_the_querys_street_alone():
    found = study.own_and_others(DISTANCE, STREETS)
    for row, i in enumerate(QUERY.nonzero().flatten().tolist()):
        gallery = ~QUERY & (DOMAINS == DOMAINS[i])
        own = DISTANCE[i, gallery & (PIDS == PIDS[i])]
        others = DISTANCE[i, gallery & (PIDS != PIDS[i])]
        assert (len(own), len(others)) == (2, 10)
        expected = own.mean().item(), others.mean().item(), (own.mean() / others.mean()).item()
        values = [found[name][row].item() for name in ("own", "others", "ratio")]
        assert values == pytest.approx(expected)


def test_shrinking_all_distances_shortens_them_and_leaves_the_ratio():
    far, near = (study.own_and_others(d, STREETS) for d in (DISTANCE, DISTANCE / 10))
    torch.testing.assert_close(near["own"], far["own"] / 10)
    torch.testing.assert_close(near["ratio"], far["ratio"])


def test_a_query_without_somebody_else_on_its_street_is_refused():
    alone = torch.isin(PIDS, torch.tensor([0, 6]))  # one person on each of two streets
    with pytest.raises(ValueError, match="somebody else"):
        study.own_and_others(DISTANCE[alone][:, alone], STREETS[alone])


def test_the_nearest_picture_is_right_as_often_as_retrieval_says():
    expected = rank1(QUERY, ~QUERY)
    assert 0.2 < expected < 1
    found = study.nearest_is_right(DISTANCE, STREETS).mean().item()
    assert found == pytest.approx(expected)


def test_street_purity_leaves_the_own_pictures_out():
    found = spaces.street_purity(DISTANCE, STREETS)
    order = NearestNeighbors(n_neighbors=len(PIDS), metric="cosine").fit(FEATURES.numpy())
    for i, ranking in enumerate(order.kneighbors(FEATURES.numpy(), return_distance=False)):
        others = [j for j in ranking if PIDS[j] != PIDS[i]]
        expected = (DOMAINS[others[:10]] == DOMAINS[i]).double().mean().item()
        assert found[i].item() == pytest.approx(expected)


def test_features_that_are_the_street_alone_are_pure_and_find_nobody():
    noise = torch.randn(len(PIDS), 3, generator=torch.Generator().manual_seed(0))
    numbers = study.space_numbers(torch.eye(3)[DOMAINS] + 1e-3 * noise, STREETS)
    assert numbers["purity"] == [1, 1, 1] and numbers["probe"] == 1
    assert min(numbers["street"]) > 0.99
    assert max(numbers["rank1"]) < 0.6 and min(numbers["ratio"]) > 0.5


def test_silhouettes_and_rank1_are_those_of_their_makers():
    numbers = study.space_numbers(FEATURES, STREETS)
    for name, labels in {"person": PIDS, "street": DOMAINS}.items():
        whole = silhouette_score(FEATURES.numpy(), labels.numpy(), metric="cosine")
        assert sum(numbers[name]) / 3 == pytest.approx(whole, abs=1e-5)  # streets are equally large
    expected = [rank1(QUERY & (DOMAINS == d), ~QUERY & (DOMAINS == d)) for d in range(3)]
    assert numbers["rank1"] == pytest.approx(expected, abs=1e-6)


# ---- planes --------------------------------------------------------------------------


def test_groups_that_are_apart_stay_apart_in_the_plane():
    draw = torch.Generator().manual_seed(0)
    groups = torch.arange(3).repeat_interleave(12)
    features = torch.eye(8)[groups] * 5 + 0.1 * torch.randn(36, 8, generator=draw)
    plane = embed_in_plane(features, perplexity=8)
    distances = torch.cdist(plane, plane).fill_diagonal_(float("inf"))
    assert plane.shape == (36, 2) and torch.equal(groups[distances.argmin(1)], groups)
    with pytest.raises(ValueError, match="perplexity=30.0 must be below"):
        embed_in_plane(features[:20])


@pytest.mark.parametrize(("start", "differs"), [("pca", False), ("random", True)])
def test_a_seed_decides_where_a_picture_starts_at_random(start, differs):
    one, again, other = (embed_in_plane(FEATURES, 5, seed, start) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert torch.allclose(one, other, atol=1) != differs


def test_a_plane_that_is_the_space_is_trusted_wholly():
    angle = torch.rand(len(PIDS), generator=torch.Generator().manual_seed(0)) * 6
    circle = torch.stack([angle.cos(), angle.sin()], 1)  # of length 1: the plane itself
    scores = study.plane_scores(circle, circle, STREETS)
    assert scores["trust"] == 1 and scores["right"] == scores["right_space"]


def test_scores_of_a_plane_are_taken_in_the_plane():
    plane = torch.randn(len(PIDS), 2, generator=torch.Generator().manual_seed(0))
    scores = study.plane_scores(FEATURES, plane, STREETS)
    unit = torch.nn.functional.normalize(FEATURES)
    trust = trustworthiness(unit.numpy(), plane.numpy(), n_neighbors=5)
    assert scores["trust"] == pytest.approx(trust, abs=1e-6)
    away = torch.cdist(plane, plane, compute_mode="donot_use_mm_for_euclid_dist").double()
    ratio = study.own_and_others(away, STREETS)["ratio"].mean().item()
    assert scores["ratio"] == pytest.approx(ratio, abs=1e-4)


def test_the_first_people_of_every_street_are_chosen_with_all_their_pictures():
    few = STREETS[study.first_people(STREETS, 2)]
    assert few.pids.unique().tolist() == [0, 1, 6, 7, 12, 13] and len(few) == 24


def test_the_tightest_picture_is_counted_start_by_start():
    table = {
        "a": {"5": {"ratio": [0.1, 0.4]}, "9": {"ratio": [0.3, 0.3]}},
        "b": {"5": {"ratio": [0.2, 0.3]}, "9": {"ratio": [0.2, 0.2]}},
    }
    assert study.tightest({"sensitivity": table}) == {"a": 1, "b": 3}


# ---- networks ------------------------------------------------------------------------


def test_a_pair_is_compared_street_by_street_and_person_by_person():
    numbers = {}
    for name, base in {"a": 0.5, "b": 0.2}.items():
        numbers[name] = dict.fromkeys(study.QUANTITIES, [base, base + 0.1, base + 0.3])
    numbers["b"]["ratio"] = [0.1, 0.4, 0.4]
    pids = PIDS[QUERY]
    ratios = {"a": torch.full(pids.shape, 0.5), "b": torch.full(pids.shape, 0.3)}
    found = study.paired_networks(numbers, ratios, pids)["a - b"]
    assert found["ratio"] == pytest.approx(paired_interval([0.4, 0.2, 0.4]), abs=1e-6)
    assert found["purity"] == pytest.approx([0.3, 0.3, 0.3])
    assert found["ratio, people"] == pytest.approx([0.2, 0.2, 0.2], abs=1e-6)


def test_changes_over_a_training_are_paired_street_by_street():
    moments = {"10": {"own": [0.1, 0.2, 0.9]}, "40": {"own": [9, 9, 9]}}
    moments["100"] = {"own": [0.2, 0.4, 1.2]}
    found = study.changes_over_training({"bn": moments}, "own")["bn"]
    assert found == pytest.approx(paired_interval([0.1, 0.2, 0.3]))


def test_a_table_of_spaces_holds_means_over_streets():
    row = {"rank1": [0.2, 0.4], "purity": [0.5, 0.7], "street": [0.1, 0.3], "person": [-0.1, 0.0]}
    table = study.space_table({"bn": row | {"probe": 0.9}}, {"bn": "BN"}).splitlines()
    assert table[2] == "| BN | 30.0% | 60.0% | 90.0% | +0.20 | -0.05 |"
    assert len({line.count("|") for line in table}) == 1


def test_a_report_is_plain_and_has_every_network_at_every_moment():
    networks = {"bn": {10: build_model("bn", 8, seed=0), 100: build_model("bn", 8, seed=1)}}
    networks["in"] = {100: build_model("in", 8, seed=0)}
    report = study.embedding_study(networks, STREETS, starts=2, people=4, perplexities=(3, 8))
    assert json.loads(json.dumps(report)) == report
    moments = {method: list(row) for method, row in report["numbers"].items()}
    assert moments == {"bn": ["10", "100"], "in": ["100"]}
    assert report["streets"] == list(STREETS.names)
    shown = [len(report[name]["pids"]) for name in ("all_streets", "one_street")]
    assert shown == [48, 16] and set(report["one_street"]["streets"]) == {0}
    ends = [torch.tensor(report["numbers"][method]["100"]["own"]) for method in ("bn", "in")]
    expected = paired_interval(ends[0] - ends[1])
    assert report["paired"]["bn - in"]["own"] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("method", ["bn", "metabin"])
def test_the_committed_numbers_are_those_of_the_committed_networks(method):
    targets = lesson_streets().target_set()
    numbers = study.space_numbers(extract_features(load_network(method), targets), targets)
    committed = read_results("figure3")["numbers"][method]["100"]
    for quantity in study.QUANTITIES:
        assert numbers[quantity] == pytest.approx(committed[quantity], abs=0.01), quantity
