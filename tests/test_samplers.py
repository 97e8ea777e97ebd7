"""Which images a batch may hold, how often, and the split of domains."""

from collections import Counter
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metabin.samplers import PKSampler, split_domains


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels(*people: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """pids and domains of people given as (pid, domain, number of images), the images well mixed."""
    rows = torch.tensor([(pid, domain) for pid, domain, count in people for _ in range(count)])
    rows = rows[torch.randperm(len(rows), generator=generator(1))]
    return rows[:, 0], rows[:, 1]


@st.composite
def crowds(draw):
    """Two or three domains, numbered with gaps, of 2 to 5 people with 1 to 6 images; people may be in several domains."""
    names = draw(st.lists(st.integers(0, 9), min_size=2, max_size=3, unique=True))
    people = [
        (pid, domain, draw(st.integers(1, 6)))
        for domain in names
        for pid in draw(st.lists(st.integers(0, 8), min_size=2, max_size=5, unique=True))
    ]
    return labels(*people)


@given(crowd=crowds(), k=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_row_holds_p_people_of_its_domain_with_k_images_each_that_repeat_only_if_they_must(
    crowd, k, seed
):
    pids, domains = crowd
    rows = PKSampler(pids, domains, p=2, k=k, generator=generator(seed)).draw()
    assert rows.shape == (len(domains.unique()), 2 * k)
    for row, domain in zip(
        rows, domains.unique(), strict=True
    ):  # rows in the order of domain numbers
        assert (domains[row] == domain).all()
        images_of = {pid: row[pids[row] == pid].tolist() for pid in pids[row].unique()}
        assert len(images_of) == 2
        for pid, images in images_of.items():
            available = int(((pids == pid) & (domains == domain)).sum())
            assert len(images) == k
            repeats = Counter(images).values()
            assert len(repeats) == min(k, available) and max(repeats) - min(repeats) <= 1


@given(crowd=crowds(), k=st.integers(1, 4))
def test_without_domains_people_come_from_one_pool_with_all_their_images(crowd, k):
    pids, _ = crowd
    people = len(pids.unique())
    (row,) = PKSampler(pids, None, p=people, k=k, generator=generator()).draw()
    assert Counter(pids[row].tolist()) == dict.fromkeys(pids.unique().tolist(), k)


def test_pooled_draws_mix_the_images_that_a_person_has_in_several_domains():
    pids, domains = labels((0, 0, 2), (0, 1, 2), (1, 0, 4))
    (row,) = PKSampler(pids, None, p=2, k=4, generator=generator()).draw()
    assert domains[row[pids[row] == 0]].unique().tolist() == [0, 1]


def test_every_person_and_every_image_is_drawn_about_equally_often():
    pids, domains = labels(*[(pid, pid // 6, 5) for pid in range(12)])
    sampler = PKSampler(pids, domains, p=2, k=2, generator=generator())
    drawn = torch.cat([sampler.draw().flatten() for _ in range(600)])
    # 600 draws take each person with probability 2/6, each image with 2/6 x 2/5: within five standard deviations
    per_person, per_image = pids[drawn].bincount() / 2, drawn.bincount()
    assert (per_person - 200).abs().max() < 5 * (600 * (1 / 3) * (2 / 3)) ** 0.5
    assert (per_image - 80).abs().max() < 5 * (600 * (2 / 15) * (13 / 15)) ** 0.5


def test_the_generators_state_decides_the_draw():
    pids, domains = labels(*[(pid, pid // 6, 5) for pid in range(12)])
    one, other = (PKSampler(pids, domains, p=3, k=2, generator=generator(3)) for _ in range(2))
    assert torch.equal(one.draw(), other.draw())
    state = one.generator.get_state()
    after, later = one.draw(), one.draw()
    assert not torch.equal(after, later)
    other.generator.set_state(
        state
    )  # the whole state of a sampler, so this is all that a resumed run needs
    assert torch.equal(other.draw(), after) and torch.equal(other.draw(), later)


def test_a_domain_with_too_few_people_is_named_with_its_number_of_people():
    pids, domains = labels((0, 0, 2), (1, 0, 2), (2, 7, 2))
    with pytest.raises(ValueError, match=r"2 identities per domain.*\{7: 1\}"):
        PKSampler(pids, domains, p=2, k=2, generator=generator())


@pytest.mark.parametrize(("p", "k", "n"), [(0, 2, 4), (2, 0, 4), (2, 2, 0)])
def test_a_batch_of_nothing_is_an_error(p, k, n):
    with pytest.raises(ValueError, match="ident"):
        PKSampler(torch.arange(n), None, p, k, generator())


@given(num_domains=st.integers(2, 9), data=st.data(), seed=st.integers(0, 99))
def test_a_split_is_a_partition_with_the_sizes_asked_for(num_domains, data, seed):
    num_meta_train = data.draw(st.integers(1, num_domains - 1))
    meta_train, meta_test = split_domains(num_domains, num_meta_train, generator(seed))
    assert len(meta_train) == num_meta_train
    assert sorted(meta_train.tolist() + meta_test.tolist()) == list(range(num_domains))


def test_every_split_happens_about_equally_often():
    draw = generator()
    splits = Counter(tuple(sorted(split_domains(5, 3, draw)[0].tolist())) for _ in range(1000))
    assert set(splits) == set(combinations(range(5), 3))
    assert max(abs(count - 100) for count in splits.values()) < 5 * (1000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize(
    ("num_domains", "num_meta_train"), [(1, 1), (3, 0), (3, 3), (3, 4), (0, 0)]
)
def test_a_split_with_an_empty_side_is_an_error(num_domains, num_meta_train):
    with pytest.raises(ValueError, match="each side needs at least one"):
        split_domains(num_domains, num_meta_train, generator())
