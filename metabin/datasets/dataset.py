"""One data set: what it is for, where it lies on a disk, and what a complete copy of it has."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from metabin.datasets.folders import subfolders
from metabin.datasets.listing import Listing

DEPTH = 2  # folders that a set may be wrapped in, as `prid2011/prid_2011/single_shot` is
Counts = Mapping[str, tuple[int, int]]  # part -> (persons, pictures with distractors)


@dataclass(frozen=True)
class DataSet:
    """One data set, to be registered as `SETS[name]`.

    `folders` are beginnings of its folder's name, without case and punctuation; `others` are
    folders of other sets that begin alike. `reader` takes a folder and returns None when the
    folder isn't the set's. `expected` holds what a complete copy has: CUHK03 has two forms.
    `cameras` is None where the set doesn't tell them. `alone` counts query persons who are not in
    the gallery by design. `companion` is a file that isn't needed, and what its absence means.
    A set with a `notice` is read only where somebody asks for it by name.
    """

    name: str
    title: str
    layout: str
    folders: tuple[str, ...]
    reader: Callable[[Path], Listing | None]
    role: str = "source, target"
    expected: tuple[Counts, ...] = ()
    cameras: int | None = None
    alone: int = 0
    companion: tuple[str, str] = ("", "")
    others: tuple[str, ...] = ()
    notice: str = ""

    @property
    def opt_in(self) -> bool:
        """Whether the set is read only where somebody asks for it by name."""
        return bool(self.notice)

    def find(self, data_root: Path | str) -> Listing | None:
        """The set's listing, from its own folder or the one that holds all sets; None without one.

        Of several copies it takes the one with most pictures, of equals the one with most parts,
        and remarks the others. Raises ValueError, OSError or ImportError, with what to do, when
        there are only copies that are damaged or lack a folder.
        """
        listings, errors = self.copies(Path(data_root).expanduser())
        if not listings:
            if errors:
                raise next(iter(errors.values()))
            return None
        best = max(listings, key=lambda f: (len(listings[f]), len(listings[f].parts)))
        listing = listings[best]
        others = [str(folder) for folder in sorted(listings | errors) if folder != best]
        if not others:
            return listing
        remark = f"also in {', '.join(others)}, not used: the copy in {best} has the most pictures"
        return replace(listing, remarks=(*listing.remarks, remark))

    def read(self, data_root: Path | str) -> Listing:
        """What `find` returns. Raises FileNotFoundError with the expected layout without a set."""
        listing = self.find(data_root)
        if listing is None:
            raise FileNotFoundError(
                f"not found in {data_root}: expected {self.layout}, in it or in a folder called "
                f"{self.folders[0]}"
            )
        return listing

    def copies(self, root: Path) -> tuple[dict[Path, Listing], dict[Path, Exception]]:
        """What the reader makes of each copy, and its errors; what lies below one is part of it."""
        listings, errors, seen, done = {}, {}, set(), set()
        for folder in self.candidates(root):
            real = folder.resolve()  # a link may lead to where we were
            if real in seen or done.intersection(real.parents):
                continue
            seen.add(real)
            try:
                listing = self.reader(folder)
                if listing is None:
                    continue
                listings[folder] = listing
            except (ValueError, OSError, ImportError) as error:
                errors[folder] = error
            done.add(real)
        return listings, errors

    def candidates(self, root: Path) -> Iterator[Path]:
        """The root, whatever its name, and folders with the set's name, each before those in it."""
        if not root.is_dir():
            return
        yield root
        for top in self.tops(root):
            level = [top]
            for _ in range(DEPTH + 1):
                yield from level
                level = [child for folder in level for child in subfolders(folder)]

    def tops(self, root: Path) -> list[Path]:
        """Folders with one of the set's names: the root, those in it and those one level below."""
        folders = subfolders(root)
        for child in list(folders):
            folders += subfolders(child)
        named = [folder for folder in folders if self.is_called(folder.name)]
        return [root, *named] if self.is_called(root.resolve().name) else named

    def is_called(self, name: str) -> bool:
        return plain(name).startswith(self.folders) and not self.is_of_another_set(name)

    def is_of_another_set(self, name: str) -> bool:
        return any(plain(name).startswith(plain(other)) for other in self.others)

    def expected_of(self, listing: Listing) -> Counts:
        """What a complete copy in the listing's form has; {} where nobody said it."""
        forms = [counts for counts in self.expected if listing.parts <= counts.keys()]
        return min(forms or self.expected, key=len, default={})

    def miscounts(self, listing: Listing) -> list[str]:
        """A line that says which counts are not those of a complete copy; none where all are."""
        wrong = []
        for part, (ids, pictures) in self.expected_of(listing).items():
            there = listing.part(part)
            if (len(there.ids), len(there)) != (ids, pictures):
                wrong.append(
                    f"{part} has {len(there.ids):,} of {ids:,} persons in {len(there):,} of "
                    f"{pictures:,} pictures"
                )
        if self.cameras is not None and len(listing.cameras) != self.cameras:
            wrong.append(f"{len(listing.cameras)} of {self.cameras} cameras")
        return [f"not a complete copy: {'; '.join(wrong)}"] if wrong else []

    def lacks_division(self, listing: Listing) -> bool:
        """Whether other copies of the set are divided into training and test, and this is not."""
        return "query" not in listing.parts and any("query" in form for form in self.expected)


def plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
