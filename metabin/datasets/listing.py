"""What a reader returns: which pictures a set has on this disk, of whom and from which camera; nothing is decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

PARTS = ("train", "query", "gallery")
DISTRACTOR = -1


class Picture(NamedTuple):
    """One picture of one person; identities and cameras are the set's own numbers, counted from 0.

    `pid` is -1 for a distractor, which only a gallery has. `part` is "train" where the set isn't divided (CUHK02,
    CUHK-SYSU) and "gallery" where the protocol draws query and gallery from one heap (i-LIDS).
    `box` = (left, top, right, bottom) in pixels is the person's place in the picture, where that has to be cut out.
    `inside` names an image within `file` where that is CUHK03's HDF5: `cuhk03.read_inside` gets it.
    """

    file: Path
    pid: int
    camid: int
    part: str
    box: tuple[int, int, int, int] | None = None
    inside: str | None = None


@dataclass(frozen=True)
class Listing:
    """The pictures of one set under `root`, in an order that depends on names only.

    `left_out` counts by their kind the pictures that are there and not meant to be used, such as Market-1501's junk.
    """

    name: str
    root: Path
    pictures: tuple[Picture, ...]
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, *parts: str) -> Self:
        """The same listing with the pictures of some parts only. Raises ValueError for a part that no set has."""
        if unknown := set(parts) - set(PARTS):
            raise ValueError(f"no part {min(unknown)!r}: choose from {', '.join(PARTS)}")
        return replace(self, pictures=tuple(p for p in self.pictures if p.part in parts))

    def people(self) -> Self:
        """The same listing without distractors."""
        return replace(self, pictures=tuple(p for p in self.pictures if p.pid != DISTRACTOR))

    @property
    def ids(self) -> set[int]:
        return {p.pid for p in self.pictures} - {DISTRACTOR}

    @property
    def cameras(self) -> set[int]:
        return {p.camid for p in self.pictures}
