"""The style mixer: one query in another style, its feature and its rank list."""

from dataclasses import replace

import pytest
import torch
from conftest import make_people

from metabin.analysis import Seen, StyleMixer, restyle
from metabin.evaluate.retrieval import evaluate, extract_features
from metabin.networks.model import build_model

PEOPLE = make_people(num_domains=1)  # 8 people, 2 cameras
QUERIES, GALLERY = PEOPLE[PEOPLE.camids == 0], PEOPLE[PEOPLE.camids == 1]


@pytest.fixture(scope="module")
def mixer():
    models = {name: build_model(name, 1, seed=0).eval() for name in ("bn", "in")}
    return StyleMixer(models, QUERIES, GALLERY)


def test_the_list_is_sorted_by_similarity_and_says_who_is_right(mixer):
    picture, seen = mixer.see(3, gamma=0.5)
    assert torch.equal(picture, restyle(QUERIES.images[3:4], gamma=0.5)[0])
    query = replace(QUERIES[3:4], images=picture[None])
    for name, found in seen.items():
        features = [extract_features(mixer.models[name], images) for images in (GALLERY, query)]
        scores = features[0] @ features[1][0]
        assert (scores[found.order].diff() <= 0).all()
        assert sorted(found.order.tolist()) == list(range(len(GALLERY)))
        assert torch.equal(found.right, GALLERY.pids[found.order] == QUERIES.pids[3])


def test_in_the_neutral_style_the_feature_is_the_neutral_one(mixer):
    for found in mixer.see(5)[1].values():
        assert found.kept == pytest.approx(1, abs=1e-5)
    for found in mixer.see(5, blur=1.6, gain_red=0.7)[1].values():
        assert found.kept < 0.999


def test_the_rate_of_all_queries_is_what_each_of_them_finds(mixer):
    style = {"gain_red": 0.4}
    each = [mixer.see(number, **style)[1] for number in range(len(QUERIES))]
    for name, rate in mixer.rank1(**style).items():
        assert rate == pytest.approx(sum(seen[name].rank == 1 for seen in each) / len(each))


def test_where_nothing_is_restyled_the_rate_is_that_of_the_restyled_pictures(mixer):
    neutral = replace(QUERIES, images=torch.cat([restyle(image[None]) for image in QUERIES.images]))
    for name, rate in mixer.rank1().items():
        assert rate == evaluate(mixer.models[name], neutral, GALLERY).rank1


def test_the_rank_is_that_of_the_first_right_picture():
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8])
    found = Seen(one, other, torch.arange(4), torch.arange(4) >= 2)
    assert found.rank == 3 and found.kept == pytest.approx(0.6)


def test_a_query_whose_person_is_not_in_the_gallery_is_refused():
    with pytest.raises(ValueError, match="every query needs a picture of its person"):
        StyleMixer({}, QUERIES, GALLERY[GALLERY.pids > 0])
