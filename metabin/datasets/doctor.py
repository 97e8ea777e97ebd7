"""The doctor: what is on the disk, against what a complete copy of each set has.

Nothing is changed or downloaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from metabin.datasets.damage import examine_pictures
from metabin.datasets.dataset import DataSet
from metabin.datasets.folders import no_folder, subfolders, within
from metabin.datasets.listing import PARTS, Listing
from metabin.datasets.market1501 import FOLDERS
from metabin.datasets.matches import match_queries
from metabin.datasets.sets import SETS

NAMED = 100  # so many unreadable pictures are named, the rest counted
WIDTH = 106  # of a remark
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"}
CONVERTED = "give the original, or give it as your own data (data/README.md)"
TOO_FEW = f"Unpack the set again into an empty folder. If it is a converted copy: {CONVERTED}"
TOO_MANY = f"This is a converted or extended copy: {CONVERTED}"


@dataclass
class Diagnosis:
    """What the doctor says about one set; a problem makes the exit code 1, a remark doesn't."""

    dataset: DataSet
    listing: Listing | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.problems:
            return "PROBLEM"
        return "not there" if self.listing is None else "complete"


def check_sets(
    data_root: Path, names: Sequence[str] = (), opt_in: Sequence[str] = (), fast: bool = False
) -> int:
    """Examine the sets called `names`, or all, and print what is found; the exit code.

    It is 1 when a set has a problem or one that was named isn't there. `fast` opens no picture.
    """
    if problem := no_folder(data_root):
        print(problem)
        return 1
    print(f"Data sets in {data_root.resolve()}\n")
    diagnoses = []
    for dataset in [SETS[name] for name in names or SETS]:
        if dataset.opt_in and dataset.name not in opt_in:
            hint = f"{dataset.notice} To look for it: --opt-in {dataset.name}"
            print(f"{dataset.title} ({dataset.role}): not looked for\n{bullet('-', hint)}\n")
            continue
        diagnosis = examine(dataset, data_root, fast)
        if names and diagnosis.status == "not there":
            diagnosis.problems.append("you asked for this set, and it is not there")
        diagnoses.append(diagnosis)
        print(*describe(diagnosis), "", sep="\n", flush=True)
    there = [d.dataset.name for d in diagnoses if d.listing is not None]
    ill = [d.dataset.name for d in diagnoses if d.problems]
    print(f"Found: {', '.join(there) or 'none'}.\nWith a problem: {', '.join(ill) or 'none'}.")
    if fast:
        print("With --fast no picture is opened: damaged ones stay unknown.")
    return 1 if ill else 0


def examine(dataset: DataSet, data_root: Path, fast: bool = False) -> Diagnosis:
    """Find a set and compare it with a complete copy; unless `fast`, every picture is decoded."""
    diagnosis = Diagnosis(dataset)
    problems, remarks = diagnosis.problems, diagnosis.remarks
    try:
        listing = diagnosis.listing = dataset.find(data_root)
    except (ValueError, OSError, ImportError) as error:
        listing = None
        problems.append(str(error))
    for folder in subfolders(data_root):
        if dataset.is_of_another_set(folder.name):
            remarks.append(f"{folder} is another set, which is not read here")
    if listing is None:
        remarks += advice(dataset, data_root, half=bool(problems))
        return diagnosis
    remarks += [*listing.remarks, *(f"left out, as it should be: {x}" for x in listing.left_out)]
    remarks += same_camera_only(listing) + without_companion(dataset, listing)
    to_do = TOO_MANY if is_extended(dataset, listing) else TOO_FEW
    problems += [f"{line}. {to_do}" for line in dataset.miscounts(listing)]
    problems += mixtures(dataset, listing)
    if not fast:
        unreadable, changes = examine_pictures(listing)
        remarks += changes
        if unreadable:
            problems.append(name_unreadable(unreadable))
    return diagnosis


def is_extended(dataset: DataSet, listing: Listing) -> bool:
    """Whether a part has more persons or pictures than it has in a complete copy."""
    for part, (ids, pictures) in dataset.expected_of(listing).items():
        if len(listing.part(part).ids) > ids or len(listing.part(part)) > pictures:
            return True
    return False


def name_unreadable(lines: Sequence[str]) -> str:
    """The problem of unreadable pictures: the first ones by name, a line each."""
    rest = len(lines) - NAMED
    more = [f"… and {rest:,} more"] if rest > 0 else []
    title = f"cannot be read: {len(lines):,}. Copy them again:"
    return "\n".join([title, *lines[:NAMED], *more])


def advice(dataset: DataSet, data_root: Path, half: bool) -> list[str]:
    """What to do about a set that isn't there, or of which half is."""
    lines = []
    tops = dataset.tops(data_root)
    converted = [folder for folder in tops if within(folder, FOLDERS["train"]).is_dir()]
    if converted and FOLDERS["train"] not in dataset.layout:
        lines.append(f"{converted[0]} is a converted copy, in Market-1501's layout: {CONVERTED}")
    elif tops and half:
        lines.append(f"it already lies in {tops[0]}: add what is missing")
    elif tops:
        lines.append(f"{tops[0]} has the set's name, but not the layout below")
    for file in sorted(data_root.iterdir()):
        if file.suffix.lower() in ARCHIVES and dataset.is_called(file.name):
            lines.append(f"{file} may hold it: unpack it there")
    lines.append(f"expected: {dataset.layout}")
    if not half:
        folder = data_root / dataset.folders[0]
        lines.append(f"get the set as data/README.md says, unpack it and put that into {folder}")
    return lines


def mixtures(dataset: DataSet, listing: Listing) -> list[str]:
    """Persons who are in training and test, and query persons who are not in the gallery."""
    train, query, gallery = [listing.part(part) for part in PARTS]
    problems = []
    if leaked := train.ids & (query.ids | gallery.ids):
        problems.append(f"in train and also in query or gallery: {name_persons(train, leaked)}")
    alone = query.ids - gallery.ids
    if len(gallery) and len(alone) > dataset.alone:
        by_design = f" ({dataset.alone} are by design)" if dataset.alone else ""
        persons = name_persons(query, alone)
        problems.append(f"in the query and not in the gallery{by_design}: {persons}")
    return problems


def name_persons(listing: Listing, pids: set[int]) -> str:
    """How many persons, and a picture of each of the first three."""
    files = {picture.pid: picture.file.name for picture in reversed(listing.pictures)}
    names = [files[pid] for pid in sorted(pids)[:3]]
    return f"{len(pids):,} persons, e.g. that of {', '.join(names)}"


def same_camera_only(listing: Listing) -> list[str]:
    """A remark on queries whose person no other camera took: the evaluation leaves them out."""
    names = [query.file.name for query in match_queries(listing).same_camera]
    if not names:
        return []
    return [f"{len(names):,} queries have no match from another camera, e.g. {names[0]}"]


def without_companion(dataset: DataSet, listing: Listing) -> list[str]:
    """A remark where the companion file is missing, unless the copy's form does without it."""
    file, meaning = dataset.companion
    if not file or dataset.expected_of(listing) != dataset.expected[0]:
        return []
    places = [listing.root / file, listing.root.parent / file]
    return [] if any(map(Path.is_file, places)) else [f"{file} is not there: {meaning}"]


def describe(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis as lines of text, with counts where the set is there."""
    dataset, listing = diagnosis.dataset, diagnosis.listing
    lines = [f"{dataset.title} ({dataset.role}): {diagnosis.status}"]
    remarks = list(dict.fromkeys(diagnosis.remarks))
    if listing is not None:
        lines += [f"  in {listing.root}", *count_lines(dataset, listing)]
        remarks += [dataset.notice] if dataset.notice else []
    lines += [bullet("!", text) for text in diagnosis.problems]
    return lines + [bullet("-", text) for text in remarks]


def bullet(mark: str, text: str) -> str:
    """The text's first line wrapped beside the mark; the others, which are names, below it."""
    first, *names = text.split("\n")
    lines = wrap(first, WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"  {mark} " + "\n    ".join(lines + [f"  {name}" for name in names])


def count_lines(dataset: DataSet, listing: Listing) -> list[str]:
    """Persons, pictures and cameras of each part."""
    lines = []
    for part in sorted(listing.parts, key=PARTS.index):
        there = listing.part(part)
        cameras = "" if dataset.cameras is None else f" {len(there.cameras):4} cameras"
        lines.append(f"    {part:8} {len(there.ids):6,} persons {len(there):8,} pictures{cameras}")
    return lines
