"""Which images a batch may hold, how often, and the split of domains."""

from collections import Counter
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metabin.samplers import PKSampler, count_meta_train, split_domains


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels(*people: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """pids and domains of people (pid, domain, number of images), the images well mixed."""
    rows = torch.tensor([person[:2] for person in people])
    rows = rows.repeat_interleave(torch.tensor([count for *_, count in people]), 0)
    return rows[torch.randperm(len(rows), generator=generator(1))].unbind(1)


TWELVE = labels(*[(pid, pid // 6, 5) for pid in range(12)])  # 2 domains x 6 people x 5 images


@st.composite
def crowds(draw):
    """Two or three domains of 2 to 5 people with 1 to 6 images; people may be in several."""
    people = []
    for domain in draw(st.lists(st.integers(0, 9), min_size=2, max_size=3, unique=True)):
        pids = draw(st.lists(st.integers(0, 8), min_size=2, max_size=5, unique=True))
        people += [(pid, domain, draw(st.integers(1, 6))) for pid in pids]
    return labels(*people)


@given(crowd=crowds(), k=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_row_holds_p_people_of_its_domain_whose_k_images_repeat_only_if_they_must(crowd, k, seed):
    pids, domains = crowd
    rows = PKSampler(pids, domains, p=2, k=k, generator=generator(seed)).draw()
    assert rows.shape == (len(domains.unique()), 2 * k)
    for row, domain in zip(rows, domains.unique(), strict=True):  # in the order of domain numbers
        assert (domains[row] == domain).all()
        people = pids[row].unique()
        assert len(people) == 2
        for pid in people:
            images = row[pids[row] == pid].tolist()
            available = int(((pids == pid) & (domains == domain)).sum())
            repeats = Counter(images).values()
            assert len(images) == k and len(repeats) == min(k, available)
            assert max(repeats) - min(repeats) <= 1


def test_pooled_draws_mix_the_images_that_a_person_has_in_several_domains():
    pids, domains = labels((0, 0, 2), (0, 1, 2), (1, 0, 4))
    (row,) = PKSampler(pids, None, p=2, k=4, generator=generator()).draw()
    assert pids[row].bincount().tolist() == [4, 4]
    assert domains[row[pids[row] == 0]].unique().tolist() == [0, 1]


def test_every_person_and_every_image_is_drawn_about_equally_often():
    sampler = PKSampler(*TWELVE, p=2, k=2, generator=generator())
    drawn = torch.cat([sampler.draw().flatten() for _ in range(600)])
    # A person is drawn with probability 2/6, an image with 2/6 x 2/5: five standard deviations.
    per_person, per_image = TWELVE[0][drawn].bincount() / 2, drawn.bincount()
    assert (per_person - 200).abs().max() < 5 * (600 * (1 / 3) * (2 / 3)) ** 0.5
    assert (per_image - 80).abs().max() < 5 * (600 * (2 / 15) * (13 / 15)) ** 0.5


def test_the_generators_state_decides_the_draw():
    one, other = (PKSampler(*TWELVE, p=3, k=2, generator=generator(3)) for _ in range(2))
    assert torch.equal(one.draw(), other.draw())
    state = one.generator.get_state()
    after, later = one.draw(), one.draw()
    assert not torch.equal(after, later)
    other.generator.set_state(state)  # all that a resumed run needs
    assert torch.equal(other.draw(), after) and torch.equal(other.draw(), later)


def test_a_domain_with_too_few_people_is_named_with_its_number_of_people():
    pids, domains = labels((0, 0, 2), (1, 0, 2), (2, 7, 2))
    with pytest.raises(ValueError, match=r"2 identities per domain.*\{7: 1\}"):
        PKSampler(pids, domains, p=2, k=2, generator=generator())


@pytest.mark.parametrize(("p", "k", "n"), [(0, 2, 4), (2, 0, 4), (2, 2, 0)])
def test_a_batch_of_nothing_is_an_error(p, k, n):
    with pytest.raises(ValueError, match="ident"):
        PKSampler(torch.arange(n), None, p, k, generator())


def test_every_split_into_the_sizes_asked_for_happens_about_equally_often():
    draw, splits = generator(), Counter()
    for _ in range(1000):
        meta_train, meta_test = (side.tolist() for side in split_domains(5, 3, draw))
        assert len(meta_train) == 3 and sorted(meta_train + meta_test) == [0, 1, 2, 3, 4]
        splits[tuple(sorted(meta_train))] += 1
    assert set(splits) == set(combinations(range(5), 3))
    assert max(abs(count - 100) for count in splits.values()) < 5 * (1000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize("sizes", [(1, 1), (3, 0), (3, 3), (3, 4), (0, 0)])
def test_a_split_with_an_empty_side_is_an_error(sizes):
    with pytest.raises(ValueError, match="each side needs at least one"):
        split_domains(*sizes, generator())


def test_the_share_of_meta_train_is_rounded_to_whole_domains():
    assert [count_meta_train(0.6, n) for n in (2, 3, 4, 5, 6)] == [1, 2, 2, 3, 4]
    assert count_meta_train(0.5, 5) == 3  # half is rounded up
