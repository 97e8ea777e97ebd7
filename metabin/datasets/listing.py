"""What a reader returns: the pictures of a set with person and camera; none is decoded."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

PARTS = ("train", "query", "gallery")
DISTRACTOR = -1
UNKNOWN_CAMERA = -1


class Picture(NamedTuple):
    """One picture of one person; persons and cameras are the set's own numbers, counted from 0.

    `pid` is -1 for a distractor, which only a gallery has, `camid` is -1 where nobody told it.
    `part` is "train" where the set is not divided (CUHK02, CUHK-SYSU) and "gallery" where splits
    draw query and gallery (i-LIDS).
    `box` = (left, top, right, bottom), in pixels, is where the person stands in a larger scene.
    `inside` names an image within `file` where that is CUHK03's HDF5: see `cuhk03.read_inside`.
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

    `left_out` are lines about pictures that nobody is meant to use, such as Market-1501's junk;
    `remarks` are lines about what is unusual, such as pictures with another name.
    """

    name: str
    root: Path
    pictures: tuple[Picture, ...]
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, *parts: str) -> Self:
        """The same listing with the pictures of some parts only."""
        for part in parts:
            if part not in PARTS:
                raise ValueError(f"no part {part!r}: choose from {', '.join(PARTS)}")
        return replace(self, pictures=tuple(p for p in self.pictures if p.part in parts))

    def people(self) -> Self:
        """The same listing without distractors."""
        return replace(self, pictures=tuple(p for p in self.pictures if p.pid != DISTRACTOR))

    @property
    def parts(self) -> set[str]:
        return {p.part for p in self.pictures}

    @property
    def ids(self) -> set[int]:
        return {p.pid for p in self.pictures} - {DISTRACTOR}

    @property
    def cameras(self) -> set[int]:
        return {p.camid for p in self.pictures}
