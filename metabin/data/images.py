"""A set of person images held in one uint8 tensor, with who, where and which domain."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from metabin.data.files import whole_file

PIXEL_SHARE = (
    0.6  # of a GPU's free memory: the rest is for the network and what it keeps for backward
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """N images of people with their labels.

    `images` (N, 3, H, W) uint8 RGB; `pids`, `camids`, `domains` (N,) int64. `names[d]` is the name
    of domain d. Camera numbers count within a domain.
    Raises ValueError or TypeError when shapes or types disagree.
    """

    images: Tensor
    pids: Tensor
    camids: Tensor
    domains: Tensor
    names: tuple[str, ...]

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.shape[1] != 3 or self.images.dtype != torch.uint8:
            found = f"{tuple(self.images.shape)} {self.images.dtype}"
            raise ValueError(f"images must be (N, 3, H, W) uint8, got {found}")
        for name in ("pids", "camids", "domains"):
            label = getattr(self, name)
            if label.shape != self.images.shape[:1] or label.dtype != torch.int64:
                found = f"{tuple(label.shape)} {label.dtype}"
                raise ValueError(
                    f"{name} must be ({len(self.images)},) int64, one per image, got {found}"
                )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor | slice) -> Self:
        """The images that a LongTensor, a bool mask or a slice names; domain numbers stay."""
        if not isinstance(index, Tensor | slice) or (isinstance(index, Tensor) and index.ndim != 1):
            raise TypeError(
                f"index an ImageSet with a 1-d tensor, a bool mask or a slice, not {index!r}"
            )
        return self._map(lambda tensor: tensor[index])

    def __repr__(self) -> str:
        height, width = self.images.shape[-2:]
        counts = (
            f"{len(self)} images {height}x{width}, {self.num_ids} ids, {self.num_domains} domains"
        )
        return f"{type(self).__name__}({counts})"

    @property
    def num_ids(self) -> int:
        return len(self.pids.unique())

    @property
    def num_domains(self) -> int:
        return len(self.domains.unique())

    def to(self, device: torch.device | str) -> Self:
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{name: function(tensor) for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Every field with a row per image, by name; a subclass may have more than four."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "names"}

    def digests(self) -> dict[str, str]:
        """Hashes of the labels (with the domains' names) and of the pixels, for telling sets apart.

        Blocks of pixels are hashed side by side.
        """
        labels = hashlib.sha256(json.dumps(self.names).encode())
        for name, tensor in self.tensors().items():
            if name != "images":
                labels.update(tensor.cpu().numpy().tobytes())
        pixels = hashlib.sha256(str(tuple(self.images.shape)).encode())
        blocks = self.images.split(1024)  # (n, 3, H, W) each
        with ThreadPoolExecutor() as pool:
            for block in pool.map(_hash_block, blocks):
                pixels.update(block)
        return {"labels": labels.hexdigest()[:16], "pixels": pixels.hexdigest()[:16]}

    def save(self, path: Path | str) -> None:
        """Write a safetensors file; it appears under its name only when it is whole."""
        tensors = {}
        for name, tensor in self.tensors().items():
            # The format refuses tensors that share memory, as labels may: copy them.
            tensors[name] = tensor.contiguous() if name == "images" else tensor.clone()
        with whole_file(path) as temporary:
            save_file(tensors, temporary, metadata={"names": json.dumps(self.names)})

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a file that `save` wrote; ValueError when it is another file or kind of set."""
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                names = json.loads((file.metadata() or {}).get("names", "null"))
        except SafetensorError as error:
            raise ValueError(
                f"{path} is not a whole safetensors file ({error}); delete it and make it again"
            ) from None
        expected = {f.name for f in fields(cls)} - {"names"}
        if names is None or set(tensors) != expected:
            raise ValueError(
                f"{path} does not hold a {cls.__name__}: expected {sorted(expected)}, "
                f"got {sorted(tensors)}"
            )
        return cls(**tensors, names=tuple(names))


def check_trainable(images: ImageSet, size: tuple[int, int]) -> None:
    """Raise ValueError unless identities count from 0 and images have this height and width."""
    if not torch.equal(images.pids.unique().cpu(), torch.arange(images.num_ids)):
        raise ValueError(
            f"identities must be numbered 0 ... {images.num_ids - 1}: use images.relabel"
        )
    if images.images.shape[-2:] != size:
        raise ValueError(f"the configuration is for images of size={size}, not for {images!r}")


def _hash_block(pixels: Tensor) -> bytes:
    return hashlib.sha256(pixels.cpu().contiguous().numpy()).digest()


def place(images: ImageSet, device: torch.device | str) -> tuple[ImageSet, str]:
    """The set with labels on the device and pixels where they fit; and where that is, in words.

    Pixels that would take more than PIXEL_SHARE of a GPU's free memory stay where they are, in
    memory or mapped from a file.
    """
    device, size = torch.device(device), images.images.nbytes
    free = _free_bytes(device)
    if images.images.is_cuda or free is None or size <= PIXEL_SHARE * free:
        return images.to(device), f"{_amount(size)} of images on {device}"
    labels = {
        name: tensor.to(device) for name, tensor in images.tensors().items() if name != "images"
    }
    placement = f"{_amount(size)} of images stay with the host, copied batch by batch"
    return replace(images, **labels), f"{placement}: {device} has {_amount(free)} free"


def _amount(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.2g} MB"


def _free_bytes(device: torch.device) -> int | None:
    """Memory that a GPU has free; None where pixels need not be copied or nobody can tell."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def concat_sets(sets: Sequence[ImageSet]) -> ImageSet:
    """One set out of several with people and domains of their own: numbers are made disjoint.

    Raises ValueError for no sets, for different kinds or image sizes, and for distractors
    (pid < 0).
    """
    if not sets:
        raise ValueError("concat_sets needs at least one set")
    if len({(type(s), s.images.shape[1:]) for s in sets}) > 1:
        kinds = ", ".join(map(repr, sets))
        raise ValueError(f"only sets of one kind and image size can be joined, got {kinds}")
    shifted, next_pid, next_domain = [], 0, 0
    for s in sets:
        if len(s) and s.pids.min() < 0:
            raise ValueError(
                "a set with distractors (pid < 0) cannot be joined; leave them out: s[s.pids >= 0]"
            )
        shifted.append(replace(s, pids=s.pids + next_pid, domains=s.domains + next_domain))
        next_pid += int(s.pids.max()) + 1 if len(s) else 0
        next_domain += len(s.names)
    columns = [s.tensors() for s in shifted]
    tensors = {}
    for name in columns[0]:
        tensors[name] = torch.cat([column[name] for column in columns])
    return type(sets[0])(**tensors, names=tuple(name for s in sets for name in s.names))


def relabel(s: ImageSet) -> ImageSet:
    """The same set with identities numbered 0 … num_ids - 1, in the order of the old numbers."""
    return replace(s, pids=s.pids.unique(return_inverse=True)[1])


def cameras_as_domains(s: ImageSet) -> ImageSet:
    """The same images with every camera of every domain as a domain of its own (Section 4.2).

    Raises ValueError when there is a single camera, which leaves nothing to generalize over.
    """
    units, domains = torch.stack([s.domains, s.camids]).unique(dim=1, return_inverse=True)
    if units.shape[1] == 1:
        raise ValueError(
            f"{s!r} has a single camera: cameras can't serve as domains. Give images of several "
            'cameras, or train with algorithm="joint"'
        )
    return replace(
        s, domains=domains, names=tuple(f"{s.names[d]} camera {c}" for d, c in units.T.tolist())
    )
