"""The style mixer: one query in another style, its feature and its rank list."""

from dataclasses import replace

import pytest
import torch
from conftest import make_people

from metabin.analysis import Seen, StyleMixer, restyle
from metabin.evaluate.retrieval import evaluate, extract_features
from metabin.networks.model import build_model


@pytest.fixture(scope="module")
def sides():
    people = make_people(num_domains=1)  # 8 people, 2 cameras
    return people[people.camids == 0], people[people.camids == 1]


@pytest.fixture(scope="module")
def mixer(sides):
    torch.manual_seed(0)
    return StyleMixer({name: build_model(name, num_ids=1).eval() for name in ("bn", "in")}, *sides)


def test_the_list_is_sorted_by_similarity_and_says_who_is_right(mixer, sides):
    queries, gallery = sides
    picture, seen = mixer.see(3, gamma=0.5)
    assert torch.equal(picture, restyle(queries.images[3:4], gamma=0.5)[0])
    for name, found in seen.items():
        query = replace(queries[3:4], images=picture[None])
        scores = (
            extract_features(mixer.models[name], gallery)
            @ extract_features(mixer.models[name], query)[0]
        )
        assert (scores[found.order].diff() <= 0).all()
        assert sorted(found.order.tolist()) == list(range(len(gallery)))
        assert torch.equal(found.right, gallery.pids[found.order] == queries.pids[3])


def test_in_the_neutral_style_the_feature_is_the_neutral_one(mixer):
    for found in mixer.see(5)[1].values():
        assert found.kept == pytest.approx(1, abs=1e-5)
    for found in mixer.see(5, blur=1.6, gain_red=0.7)[1].values():
        assert found.kept < 0.999


def test_the_rate_of_all_queries_is_what_each_of_them_finds(mixer, sides):
    style = {"gain_red": 0.4}
    each = [mixer.see(number, **style)[1] for number in range(len(sides[0]))]
    for name, rate in mixer.rank1(**style).items():
        assert rate == pytest.approx(sum(seen[name].rank == 1 for seen in each) / len(each))


def test_where_nothing_is_restyled_the_rate_is_that_of_the_restyled_pictures(mixer, sides):
    queries, gallery = sides
    neutral = replace(queries, images=torch.cat([restyle(image[None]) for image in queries.images]))
    for name, rate in mixer.rank1().items():
        assert rate == evaluate(mixer.models[name], neutral, gallery).rank1


def test_the_rank_is_that_of_the_first_right_picture():
    found = Seen(
        torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8]), torch.arange(4), torch.arange(4) >= 2
    )
    assert found.rank == 3 and found.kept == pytest.approx(0.6)


def test_a_query_whose_person_is_not_in_the_gallery_is_refused(sides):
    queries, gallery = sides
    with pytest.raises(
        ValueError, match="every query needs a picture of its person in the gallery"
    ):
        StyleMixer({}, queries, gallery[gallery.pids > 0])
