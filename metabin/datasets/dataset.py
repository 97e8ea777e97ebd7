"""One data set: what it is for, and where it lies on a disk."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from metabin.datasets.folders import subfolders
from metabin.datasets.listing import Listing

DEPTH = 2  # how many folders a set may be wrapped in, as `prid2011/prid_2011/single_shot` is
Counts = Mapping[
    str, tuple[int, int]
]  # part -> (identities, pictures), distractors among the pictures


@dataclass(frozen=True)
class DataSet:
    """One data set. `folders` are the beginnings of the names that its folder goes by, without case and punctuation.

    `expected` holds what a complete copy has; CUHK03 has two forms. `cameras` is None where the set doesn't tell them.
    `alone` counts the query persons who are not in the gallery: PRID has some by design. `companion` is a file that isn't
    needed to read the set, and what its absence means. `others` are sets whose folders' names begin alike.
    """

    name: str
    title: str
    role: str
    layout: str
    expected: tuple[Counts, ...]
    cameras: int | None
    folders: tuple[str, ...]
    reader: Callable[[Path], Listing | None]
    alone: int = 0
    companion: tuple[str, str] = ("", "")
    others: tuple[str, ...] = ()
    notice: str = ""

    @property
    def opt_in(self) -> bool:
        """Whether the set is read only where somebody asks for it by name."""
        return bool(self.notice)

    def find(self, data_root: Path | str) -> Listing | None:
        """The set's listing, from its own folder or the one that holds all sets; None where it isn't there.

        Of several copies the one with the most pictures, and of equals the one with more parts; a warning names the others.
        Raises ValueError, OSError or ImportError, with what to do, when a part of the only copy is damaged or missing.
        """
        copies = list(self.copies(Path(data_root).expanduser()))
        whole = [copy for copy in copies if isinstance(copy.found, Listing)]
        if not copies:
            return None
        if not whole:
            raise copies[0].found
        best = max(
            whole, key=lambda copy: (len(copy.found), len({p.part for p in copy.found.pictures}))
        )
        for text in best.warnings:
            warnings.warn(text, stacklevel=2)
        if others := [str(copy.folder) for copy in copies if copy is not best]:
            warnings.warn(
                f"also found in {', '.join(others)}, not used: this copy has the most pictures",
                stacklevel=2,
            )
        return best.found

    def read(self, data_root: Path | str) -> Listing:
        """What `find` finds. Raises FileNotFoundError with the expected layout where there is nothing."""
        listing = self.find(data_root)
        if listing is None:
            raise FileNotFoundError(
                f"no {self.title} in {data_root}: expected {self.layout} in it or in a folder called {self.folders[0]}"
            )
        return listing

    def copies(self, root: Path) -> Iterator["Copy"]:
        """What the reader makes of the root, whatever its name, and of folders down from one with one of the set's names."""
        seen = set()

        def look(folder: Path, depth: int) -> Iterator[Copy]:
            if (
                real := folder.resolve()
            ) in seen:  # through a link, or because a name is said twice
                return
            seen.add(real)
            copy = read_copy(self.reader, folder)
            if copy.found is not None:
                yield copy  # what lies below is part of it
            elif depth:
                for child in subfolders(folder):
                    yield from look(child, depth - 1)

        if root.is_dir():
            yield from look(root, DEPTH if self.is_called(root.resolve().name) else 0)
            for top in self.tops(root):
                yield from look(top, DEPTH)

    def tops(self, root: Path) -> list[Path]:
        """Folders with one of the set's names: the root, those in it and one folder further down."""
        children = subfolders(root)
        below = [folder for child in children for folder in subfolders(child)]
        named = [folder for folder in (*children, *below) if self.is_called(folder.name)]
        return [root, *named] if self.is_called(root.resolve().name) else named

    def is_called(self, name: str) -> bool:
        return plain(name).startswith(self.folders) and not self.is_anothers(name)

    def is_anothers(self, name: str) -> bool:
        return any(plain(name).startswith(plain(other)) for other in self.others)


def plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


class Copy(NamedTuple):
    """What a reader made of a folder: a listing, nothing, or why it can't be read; and what it warned of."""

    folder: Path
    found: Listing | Exception | None
    warnings: tuple[str, ...]


def read_copy(reader: Callable[[Path], Listing | None], folder: Path) -> Copy:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = reader(folder)
        except (ValueError, OSError, ImportError) as error:
            found = error
    return Copy(folder, found, tuple(dict.fromkeys(str(warning.message) for warning in caught)))
