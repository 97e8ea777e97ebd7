"""ImageSet: what it refuses, how it is indexed, joined, relabelled, saved and loaded."""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from metabin.data import images as module
from metabin.data.images import ImageSet, concat_sets, relabel


@dataclass(frozen=True, eq=False, repr=False)
class Graded(ImageSet):
    """A set with one more field per image."""

    grades: Tensor


def some_images(pids, domains=None, size=(4, 2), names=("here",)) -> ImageSet:
    n = len(pids)
    draw = torch.Generator().manual_seed(n)
    images = torch.randint(256, (n, 3, *size), dtype=torch.uint8, generator=draw)
    labels = torch.tensor([pids, domains or [0] * n], dtype=torch.int64)
    return ImageSet(images, labels[0], torch.arange(n) % 2, labels[1], names)


def graded(s: ImageSet) -> Graded:
    return Graded(**s.tensors(), names=s.names, grades=torch.arange(len(s)) + 0.5)


def assert_same(a: ImageSet, b: ImageSet):
    assert type(a) is type(b) and a.names == b.names
    torch.testing.assert_close(a.tensors(), b.tensors(), rtol=0, atol=0)


@pytest.mark.parametrize(
    "index", [torch.tensor([3, 0, 3]), torch.tensor([True, False, False, True]), slice(1, None, 2)]
)
def test_indexing_takes_the_same_rows_of_every_field(index):
    s = graded(some_images([5, 7, 5, 9]))
    rows = torch.arange(4)[index].tolist()
    chosen = s[index]
    for name, tensor in chosen.tensors().items():
        assert torch.equal(tensor, torch.stack([s.tensors()[name][row] for row in rows])), name


@pytest.mark.parametrize("index", [1, [0, 1], torch.tensor(1), torch.tensor([[0]])])
def test_an_index_that_would_lose_the_batch_is_refused(index):
    with pytest.raises(TypeError, match="1-d tensor, a bool mask or a slice"):
        some_images([0, 1])[index]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("images", torch.zeros(2, 3, 4, 2), "images must be .* uint8, got .* torch.float32"),
        ("images", torch.zeros(2, 1, 4, 2, dtype=torch.uint8), r"images must be .*\(2, 1, 4, 2\)"),
        ("pids", torch.zeros(3, dtype=torch.int64), r"pids must be \(2,\) int64"),
        ("camids", torch.zeros(2, dtype=torch.int32), "camids must be .* torch.int32"),
        ("domains", torch.zeros(2, 1, dtype=torch.int64), "domains must be"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused_by_name(field, value, message):
    with pytest.raises(ValueError, match=message):
        replace(some_images([0, 1]), **{field: value})


def test_the_printed_form_says_what_is_there_and_a_set_moves_with_all_its_fields():
    s = some_images([4, 4, 9, 2], domains=[0, 0, 1, 1], names=("a", "b"))
    assert repr(s) == "ImageSet(4 images 4x2, 3 ids, 2 domains)"
    assert all(tensor.device.type == "meta" for tensor in s.to("meta").tensors().values())


members = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), max_size=6)


@given(st.lists(members, min_size=1, max_size=4))
def test_joined_sets_share_no_person_and_no_domain_and_mix_up_nobody_within(labels):
    sets = []
    for k, pairs in enumerate(labels):
        pids, domains = [p for p, _ in pairs], [d for _, d in pairs]
        sets.append(some_images(pids, domains, names=(f"{k}a", f"{k}b")))
    joined = concat_sets(sets)
    for field in ("pids", "domains"):
        before = []
        for k, s in enumerate(sets):
            before += [(k, label) for label in getattr(s, field).tolist()]
        after = getattr(joined, field).tolist()
        pairs = set(zip(before, after, strict=True))
        assert len(set(before)) == len(set(after)) == len(pairs)  # one to one
    names = [joined.names[d] for d in joined.domains]
    assert names == [f"{k}{'ab'[d]}" for k, pairs in enumerate(labels) for _, d in pairs]
    assert torch.equal(joined.images, torch.cat([s.images for s in sets]))


def test_sets_of_another_size_or_kind_distractors_and_nothing_cannot_be_joined():
    s = some_images([0, 1])
    for other in (some_images([0], size=(8, 4)), graded(s)):
        with pytest.raises(ValueError, match="one kind and image size"):
            concat_sets([s, other])
    with pytest.raises(ValueError, match="distractors"):
        concat_sets([s, some_images([-1, 3])])
    with pytest.raises(ValueError, match="at least one"):
        concat_sets([])


def test_relabelled_people_are_numbered_from_zero_in_their_old_order():
    assert relabel(some_images([40, 7, 7, 900, 40])).pids.tolist() == [1, 0, 0, 2, 1]


def test_a_saved_set_comes_back_bit_by_bit_though_its_fields_share_memory(tmp_path):
    s = some_images([0, 1, 2, 3])
    s = replace(s, domains=s.pids, names=("Straße 1", "通り", "c", "d"))
    s = s[torch.tensor([True, False, True, True])][1:]
    s.save(tmp_path / "new folder" / "set")
    assert_same(s, ImageSet.load(tmp_path / "new folder" / "set"))


def test_a_kind_with_more_fields_comes_back_as_that_kind_and_is_not_taken_for_another(tmp_path):
    s = graded(some_images([0, 1]))
    s.save(tmp_path / "graded")
    assert_same(s, Graded.load(tmp_path / "graded"))
    with pytest.raises(ValueError, match="does not hold a ImageSet"):
        ImageSet.load(tmp_path / "graded")


def test_what_is_not_a_saved_set_is_refused_with_its_name(tmp_path):
    some_images([0, 1]).save(tmp_path / "torn")
    (tmp_path / "torn").write_bytes((tmp_path / "torn").read_bytes()[:-7])
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights")
    with pytest.raises(ValueError, match="torn is not a whole safetensors file"):
        ImageSet.load(tmp_path / "torn")
    with pytest.raises(ValueError, match="weights does not hold a ImageSet"):
        ImageSet.load(tmp_path / "weights")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ImageSet.load(tmp_path / "nowhere")


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    old = some_images([0, 1])
    old.save(tmp_path / "set")

    def interrupted(tensors, path, metadata):
        path.write_bytes(b"half of")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        some_images([3, 4, 5]).save(tmp_path / "set")
    assert_same(old, ImageSet.load(tmp_path / "set"))
    assert [file.name for file in tmp_path.iterdir()] == ["set"]
