"""The doctor: what is on the disk, against what a complete copy of each set has; nothing is changed or downloaded."""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from metabin.datasets.counts import expected_of, miscounts
from metabin.datasets.damage import damaged
from metabin.datasets.dataset import DataSet
from metabin.datasets.folders import subfolders, within
from metabin.datasets.listing import PARTS, Listing
from metabin.datasets.market1501 import FOLDERS
from metabin.datasets.sets import SETS

NAMED = 100  # so many damaged pictures are named, the rest counted
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"}
WIDTH = 110
AGAIN = "Unpack the set again into an empty folder"
INSTEAD = "give the original, or give this one as your own data (data/README.md)"


@dataclass
class Finding:
    """What the doctor found out about one set; a problem makes the exit code 1, a remark doesn't."""

    dataset: DataSet
    listing: Listing | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.problems:
            return "PROBLEM"
        return "not there" if self.listing is None else "complete"


def check(
    data_root: Path, names: Sequence[str] = (), opt_in: Sequence[str] = (), fast: bool = False
) -> int:
    """Examine and print the sets called `names`, or all; 1 when one has a problem or one that was named isn't there."""
    if not data_root.is_dir():
        print(f"{data_root} is no folder: give the one that holds the data sets as --data-root")
        return 1
    print(f"Data sets in {data_root.resolve()}\n")
    findings = []
    for dataset in (SETS[name] for name in names or SETS):
        if dataset.opt_in and dataset.name not in opt_in:
            print(f"{dataset.title} ({dataset.role}): not looked for")
            print(
                *bullet("-", f"{dataset.notice} To look for it: --opt-in {dataset.name}"),
                "",
                sep="\n",
            )
            continue
        finding = examine(dataset, data_root, fast)
        if finding.listing is None and names and not finding.problems:
            finding.problems.append("you asked for this set, and it is not there")
        findings.append(finding)
        print(report(finding, data_root), end="\n\n", flush=True)
    found = [f.dataset.name for f in findings if f.listing is not None]
    ill = [f.dataset.name for f in findings if f.problems]
    print(f"Found: {', '.join(found) or 'none'}.\nWith a problem: {', '.join(ill) or 'none'}.")
    if fast:
        print("With --fast no picture is opened: damaged ones stay unknown.")
    return 1 if ill else 0


def examine(dataset: DataSet, data_root: Path, fast: bool = False) -> Finding:
    """Find a set and compare it with a complete copy; unless `fast`, every picture is decoded."""
    finding = Finding(dataset)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            finding.listing = dataset.find(data_root)
        except (ValueError, OSError, ImportError) as error:
            finding.problems.append(str(error))
    finding.remarks += [str(warning.message) for warning in caught] + anothers(dataset, data_root)
    listing = finding.listing
    if listing is None:
        finding.remarks += traces(dataset, data_root) if not finding.problems else []
        return finding
    finding.remarks += [
        f"left out, as it should be: {n:,} {kind}" for kind, n in listing.left_out.items()
    ]
    finding.remarks += same_camera_only(listing) + without_companion(dataset, listing)
    finding.problems += [f"{line}. {AGAIN}" for line in miscounts(dataset, listing)] + mixtures(
        dataset, listing
    )
    if not fast and (lines := damaged(listing)):
        rest = [f"… and {len(lines) - NAMED:,} more"] if len(lines) > NAMED else []
        finding.problems.append(
            "\n".join([f"cannot be read: {len(lines):,}. Copy them again:", *lines[:NAMED], *rest])
        )
    return finding


def traces(dataset: DataSet, data_root: Path) -> list[str]:
    """What looks as if it was meant to be the set: a folder with its name, an archive that isn't unpacked."""
    tops = dataset.tops(data_root)
    archives = [
        f for f in data_root.iterdir() if f.suffix.lower() in ARCHIVES and dataset.is_called(f.name)
    ]
    converted = [folder for folder in tops if within(folder, FOLDERS["train"]).is_dir()]
    if converted and not dataset.layout.startswith(FOLDERS["train"]):
        lines = [f"{converted[0]} is a converted copy, in Market-1501's layout: {INSTEAD}"]
    else:
        lines = [f"{folder} has the set's name, but not the layout below" for folder in tops[:1]]
    return lines + [f"{file} may hold it: unpack it there" for file in sorted(archives)]


def anothers(dataset: DataSet, data_root: Path) -> list[str]:
    """A remark on each folder whose name begins like the set's and that is another set's."""
    folders = [folder for folder in subfolders(data_root) if dataset.is_anothers(folder.name)]
    return [f"{folder} is another set, which is not read here" for folder in folders]


def mixtures(dataset: DataSet, listing: Listing) -> list[str]:
    """Persons who are in training and test, and persons who are asked for and not in the gallery."""
    train, query, gallery = (listing.part(part) for part in PARTS)
    problems = []
    if leaked := train.ids & (query.ids | gallery.ids):
        problems.append(f"in train and also in query or gallery: {persons(train, leaked)}")
    lonely = query.ids - gallery.ids
    if len(gallery) and len(lonely) > dataset.alone:
        known = f" ({dataset.alone} are by design)" if dataset.alone else ""
        problems.append(f"in the query and not in the gallery{known}: {persons(query, lonely)}")
    return problems


def persons(listing: Listing, pids: set[int]) -> str:
    """How many, and a picture of each of the first three."""
    files = [
        next(p.file.name for p in listing.pictures if p.pid == pid) for pid in sorted(pids)[:3]
    ]
    return f"{len(pids):,} persons, e.g. that of {', '.join(files)}"


def same_camera_only(listing: Listing) -> list[str]:
    """A remark on queries whose person no other camera saw: the evaluation leaves them out."""
    cameras = defaultdict(set)
    for picture in listing.part("gallery").pictures:
        cameras[picture.pid].add(picture.camid)
    queries = listing.part("query").pictures
    blind = [p.file.name for p in queries if cameras[p.pid] == {p.camid}]
    return (
        [f"{len(blind):,} queries have no match from another camera, e.g. {blind[0]}"]
        if blind
        else []
    )


def without_companion(dataset: DataSet, listing: Listing) -> list[str]:
    """A remark where the set's companion file is missing, unless the copy has the form that does without."""
    file, meaning = dataset.companion
    there = any((place / file).is_file() for place in (listing.root, listing.root.parent))
    needed = file and expected_of(dataset, listing) == dataset.expected[0]
    return [f"{file} is not there: {meaning}"] if needed and not there else []


def report(finding: Finding, data_root: Path) -> str:
    """The finding as some lines of text, with a table of counts where the set was found."""
    dataset, listing = finding.dataset, finding.listing
    lines = [f"{dataset.title} ({dataset.role}): {finding.status}"]
    if listing is not None:
        lines += [f"  in {listing.root}", *table(dataset, listing)]
        lines += bullet("-", dataset.notice) if dataset.notice else []
    lines += [line for text in finding.problems for line in bullet("!", text)]
    lines += [line for text in dict.fromkeys(finding.remarks) for line in bullet("-", text)]
    if listing is None:
        lines += bullet("-", f"expected: {dataset.layout}")
        lines += bullet("-", f"to do: {todo(finding, data_root)}")
    return "\n".join(lines)


def todo(finding: Finding, data_root: Path) -> str:
    """Complete what is there, or get the set."""
    if finding.problems and (tops := finding.dataset.tops(data_root)):
        return f"it already lies in {tops[0]}: unpack it again and add what is missing"
    place = data_root / finding.dataset.folders[0]
    return f"get it as data/README.md says, unpack it and put that into {place}"


def bullet(mark: str, text: str) -> list[str]:
    """The text's first line wrapped beside the mark, the others, which are names, as they are."""
    first, *names = text.split("\n")
    beside = wrap(first, WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return [
        f"  {mark} {beside[0]}",
        *(f"    {line}" for line in beside[1:]),
        *(f"      {line}" for line in names),
    ]


def table(dataset: DataSet, listing: Listing) -> list[str]:
    """Persons, pictures and cameras per part, aligned; a count that is not a complete copy's beside the right one."""
    rows = [("", "persons", "pictures", "cameras")]
    for part, expected in expected_of(dataset, listing).items():
        of_part = listing.part(part)
        counts = zip((len(of_part.ids), len(of_part)), expected, strict=True)
        cells = [
            f"{found:,}" if found == right else f"{found:,} of {right:,}" for found, right in counts
        ]
        rows.append((part, *cells, "-" if dataset.cameras is None else f"{len(of_part.cameras)}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "    " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in rows
    ]
