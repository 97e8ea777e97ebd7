"""Distances, neighbours and pictures of networks' features: by hand, by loops and by scikit-learn."""

import json

import pytest
import torch
from conftest import make_people
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_distances as sklearn_distances
from sklearn.neighbors import NearestNeighbors

from metabin.analysis import embedding_study as study
from metabin.analysis import spaces
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import paired_interval
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.experiments import lesson_streets, load_network, read_results
from metabin.networks.model import build_model


@pytest.fixture(scope="module")
def streets() -> ImageSet:
    """3 streets x 6 people x 4 pictures, two by each of two cameras."""
    return make_people(num_domains=3, ids=6)


@pytest.fixture(scope="module")
def features(streets) -> torch.Tensor:
    """Features that hold person and street, not of length 1, (N, 8)."""
    draw = torch.Generator().manual_seed(1)
    person, street = (
        torch.randn(streets.num_ids, 8, generator=draw),
        torch.randn(3, 8, generator=draw),
    )
    noise = torch.randn(len(streets), 8, generator=draw)
    return 2 * person[streets.pids] + 2 * street[streets.domains] + 1.5 * noise


def test_cosine_distances_are_scikit_learns(features):
    expected = torch.from_numpy(sklearn_distances(features.double().numpy()))
    torch.testing.assert_close(study.cosine_distances(features), expected, atol=1e-12, rtol=0)


def test_own_and_others_count_the_gallery_of_the_querys_street_alone(streets, features):
    distance = study.cosine_distances(features)
    found = study.own_and_others(distance, streets)
    queries = [i for i in range(len(streets)) if streets.camids[i] == 0]
    for row, i in enumerate(queries):
        gallery = [
            j
            for j in range(len(streets))
            if streets.camids[j] == 1 and streets.domains[j] == streets.domains[i]
        ]
        own = [distance[i, j].item() for j in gallery if streets.pids[j] == streets.pids[i]]
        others = [distance[i, j].item() for j in gallery if streets.pids[j] != streets.pids[i]]
        assert (len(own), len(others)) == (2, 10)
        assert found["own"][row].item() == pytest.approx(sum(own) / 2)
        assert found["others"][row].item() == pytest.approx(sum(others) / 10)
        assert found["ratio"][row].item() == pytest.approx(sum(own) / 2 / (sum(others) / 10))


def test_shrinking_all_distances_shortens_them_and_leaves_the_ratio(streets, features):
    distance = study.cosine_distances(features)
    far, near = (
        study.own_and_others(distance, streets),
        study.own_and_others(distance / 10, streets),
    )
    torch.testing.assert_close(near["own"], far["own"] / 10)
    torch.testing.assert_close(near["ratio"], far["ratio"])


def test_a_query_without_somebody_else_on_its_street_is_refused(streets, features):
    alone = torch.isin(streets.pids, torch.tensor([0, 6]))  # one person on each of two streets
    with pytest.raises(ValueError, match="somebody else"):
        study.own_and_others(study.cosine_distances(features[alone]), streets[alone])


def test_the_nearest_picture_is_right_as_often_as_retrieval_says(streets, features):
    query = streets.camids == 0
    expected = retrieval(
        features[query], features[~query], streets.pids[query], streets.pids[~query]
    ).rank1
    found = study.nearest_is_right(study.cosine_distances(features), streets)
    assert 0.2 < expected < 1
    assert found.mean().item() == pytest.approx(expected)


def test_street_purity_leaves_the_own_pictures_out(streets, features):
    found = spaces.street_purity(study.cosine_distances(features), streets, neighbours=5)
    order = NearestNeighbors(n_neighbors=len(streets), metric="cosine").fit(features.numpy())
    for i, ranking in enumerate(order.kneighbors(features.numpy(), return_distance=False)):
        nearest = [j for j in ranking if streets.pids[j] != streets.pids[i]][:5]
        assert found[i].item() == pytest.approx(
            sum(streets.domains[j] == streets.domains[i] for j in nearest) / 5
        )


def test_features_that_are_the_street_alone_are_pure_and_find_nobody(streets):
    numbers = study.space_numbers(
        torch.eye(3)[streets.domains] + 1e-3 * torch.randn(len(streets), 3), streets
    )
    assert numbers["purity"] == [1, 1, 1] and numbers["probe"] == 1
    assert (
        min(numbers["street"]) > 0.99
        and max(numbers["rank1"]) < 0.6
        and min(numbers["ratio"]) > 0.5
    )


def test_silhouettes_and_rank1_are_those_of_their_makers(streets, features):
    numbers = study.space_numbers(features, streets)
    for name, labels in {"person": streets.pids, "street": streets.domains}.items():
        whole = silhouette_score(features.numpy(), labels.numpy(), metric="cosine")
        assert sum(numbers[name]) / 3 == pytest.approx(whole, abs=1e-5)  # streets are equally large
    for d in range(3):
        q, g = (
            (streets.domains == d) & (streets.camids == 0),
            (streets.domains == d) & (streets.camids == 1),
        )
        expected = retrieval(features[q], features[g], streets.pids[q], streets.pids[g]).rank1
        assert numbers["rank1"][d] == pytest.approx(expected, abs=1e-6)


def test_another_random_start_gives_another_picture_and_the_same_one_the_same(features):
    one, again, other = (study.embed_in_plane(features, 5, seed, "random") for seed in (0, 0, 1))
    assert one.shape == (len(features), 2)
    assert torch.equal(one, again) and not torch.allclose(one, other, atol=1)


def test_a_plane_that_is_the_space_is_trusted_wholly(streets):
    angle = torch.rand(len(streets), generator=torch.Generator().manual_seed(0)) * 6
    circle = torch.stack([angle.cos(), angle.sin()], 1)  # of length 1: the plane itself
    scores = study.plane_scores(circle, circle, streets)
    assert scores["trust"] == 1 and scores["right"] == scores["right_space"]


def test_scores_of_a_plane_are_taken_in_the_plane(streets, features):
    plane = torch.randn(len(streets), 2, generator=torch.Generator().manual_seed(0))
    scores = study.plane_scores(features, plane, streets, neighbours=3)
    unit = torch.nn.functional.normalize(features)
    assert scores["trust"] == pytest.approx(
        trustworthiness(unit.numpy(), plane.numpy(), n_neighbors=3), abs=1e-6
    )
    away = torch.cdist(plane, plane, compute_mode="donot_use_mm_for_euclid_dist").double()
    ratio = study.own_and_others(away, streets)["ratio"].mean().item()
    assert scores["ratio"] == pytest.approx(ratio, abs=1e-4)


def test_the_first_people_of_every_street_are_chosen_with_all_their_pictures(streets):
    few = streets[study.first_people(streets, 2)]
    assert few.pids.unique().tolist() == [0, 1, 6, 7, 12, 13] and len(few) == 24


def test_a_pair_is_compared_street_by_street_and_person_by_person(streets):
    numbers = {
        name: {q: [base, base + 0.1, base + 0.3] for q in study.QUANTITIES}
        for name, base in (("a", 0.5), ("b", 0.2))
    }
    numbers["b"]["ratio"] = [0.1, 0.4, 0.4]
    pids = streets.pids[streets.camids == 0]
    ratios = {"a": torch.full(pids.shape, 0.5), "b": torch.full(pids.shape, 0.3)}
    found = study.paired_networks(numbers, ratios, pids)["a - b"]
    assert found["ratio"] == pytest.approx(paired_interval([0.4, 0.2, 0.4]), abs=1e-6)
    assert found["purity"] == pytest.approx([0.3, 0.3, 0.3])
    assert found["ratio, people"] == pytest.approx([0.2, 0.2, 0.2], abs=1e-6)


# ---- the whole study -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(streets) -> dict:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = {
            m: {p: build_model(m, 8) for p in moments}
            for m, moments in {"bn": (10, 100), "in": (100,)}.items()
        }
    return study.embedding_study(networks, streets, starts=2, people=4, perplexities=(3, 8))


def test_a_report_is_plain_and_has_every_network_at_every_moment(report):
    assert json.loads(json.dumps(report)) == report
    assert {m: list(row) for m, row in report["numbers"].items()} == {
        "bn": ["10", "100"],
        "in": ["100"],
    }
    assert report["streets"] == ["street 0", "street 1", "street 2"]
    assert {name: len(report[name]["pids"]) for name in ("all_streets", "one_street")} == {
        "all_streets": 48,
        "one_street": 16,
    }
    assert set(report["one_street"]["streets"]) == {0}


def test_the_pair_is_of_the_finished_networks(report):
    ends = [report["numbers"][m]["100"]["own"] for m in ("bn", "in")]
    gap = [a - b for a, b in zip(*ends, strict=True)]
    assert report["paired"]["bn - in"]["own"] == pytest.approx(paired_interval(gap), abs=2e-6)


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


@pytest.mark.parametrize("method", ["bn", "metabin"])
def test_the_committed_numbers_are_those_of_the_committed_networks(method):
    targets = lesson_streets().target_set()
    numbers = study.space_numbers(extract_features(load_network(method), targets), targets)
    committed = read_results("figure3")["numbers"][method]["100"]
    for quantity in study.QUANTITIES:
        assert numbers[quantity] == pytest.approx(committed[quantity], abs=0.01), quantity


def test_the_tightest_picture_is_counted_start_by_start():
    table = {
        "a": {"5": {"ratio": [0.1, 0.4]}, "9": {"ratio": [0.3, 0.3]}},
        "b": {"5": {"ratio": [0.2, 0.3]}, "9": {"ratio": [0.2, 0.2]}},
    }
    assert study.tightest({"sensitivity": table}) == {"a": 1, "b": 3}
