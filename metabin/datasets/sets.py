"""The ten data sets in one table: what each is for, how it lies on a disk, how much it holds, who reads it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from metabin.datasets.cuhk02 import list_cuhk02
from metabin.datasets.cuhk03 import list_cuhk03
from metabin.datasets.cuhksysu import list_cuhksysu
from metabin.datasets.grid import list_grid
from metabin.datasets.ilids import list_ilids
from metabin.datasets.listing import Listing
from metabin.datasets.market1501 import list_dukemtmc, list_market1501
from metabin.datasets.msmt17 import list_msmt17
from metabin.datasets.prid import list_prid
from metabin.datasets.viper import list_viper

DEPTH = 2  # how many folders a set may be wrapped in, as `prid2011/prid_2011/single_shot` is
Counts = Mapping[str, tuple[int, int]]  # part -> (identities, pictures), distractors among the pictures


@dataclass(frozen=True)
class DataSet:
    """One data set. `folders` are the beginnings of the names that its folder goes by, without case and punctuation.

    `expected` holds what a complete copy has; CUHK03 has two forms. `cameras` is None where the set doesn't tell them.
    `alone` counts the query persons who are not in the gallery: PRID has some by design. `companion` is a file that isn't
    needed to read the set, and what its absence means.
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
    notice: str = ""

    @property
    def opt_in(self) -> bool:
        """Whether the set is read only where somebody asks for it by name."""
        return bool(self.notice)

    def find(self, data_root: Path | str) -> Listing | None:
        """The set's listing, from its own folder or the one that holds all sets; None where it isn't there.

        Raises ValueError or OSError, with what to do, when a part of it is damaged or missing.
        """
        for folder in self.places(Path(data_root).expanduser()):
            if listing := self.reader(folder):
                return listing
        return None

    def read(self, data_root: Path | str) -> Listing:
        """What `find` finds. Raises FileNotFoundError with the expected layout where there is nothing."""
        listing = self.find(data_root)
        if listing is None:
            raise FileNotFoundError(
                f"no {self.title} in {data_root}: expected {self.layout} in it or in a folder called {self.folders[0]}"
            )
        return listing

    def places(self, root: Path) -> Iterator[Path]:
        """Where the set may lie: the root, whatever its name, and folders down from one with one of the set's names."""
        if not root.is_dir():
            return
        yield root
        children = subfolders(root)
        tops = [root] if self.is_called(root.resolve().name) else []
        tops += [folder for folder in children if self.is_called(folder.name)]
        tops += [folder for child in children for folder in subfolders(child) if self.is_called(folder.name)]
        for top in tops:
            level = [top]
            for _ in range(DEPTH + 1):
                yield from level
                level = [folder for above in level for folder in subfolders(above)]

    def is_called(self, name: str) -> bool:
        return re.sub(r"[\W_]", "", name.lower()).startswith(self.folders)


def subfolders(folder: Path) -> list[Path]:
    """Sorted; without hidden folders and the one that a Mac puts into archives."""
    try:
        return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "__MACOSX")))
    except PermissionError:
        return []


BOXES = "bounding_box_train/, query/, bounding_box_test/"
DUKE_NOTICE = (
    "DukeMTMC was withdrawn by its university in 2019: people had been filmed outdoors and put online against the "
    "approved protocol. It is read only on request, to compare with published numbers; think about whether you need it."
)
SETS = {
    s.name: s
    for s in (
        DataSet(
            name="cuhk02",
            title="CUHK02",
            role="source",
            layout="P1/cam1/*.png, P1/cam2/ … P5/cam2/",
            expected=({"train": (1816, 7264)},),
            cameras=10,
            folders=("cuhk02",),
            reader=list_cuhk02,
        ),
        DataSet(
            name="cuhk03",
            title="CUHK03",
            role="source, target",
            layout="cuhk-03.mat, or images_detected/1_001_1_01.png, "
            "or detected/bounding_box_train/0001_c1_1.png … of CUHK03-NP",
            expected=(
                {"train": (1467, 14097)},
                {"train": (767, 7365), "query": (700, 1400), "gallery": (700, 5332)},
            ),
            cameras=None,
            folders=("cuhk03",),
            reader=list_cuhk03,
            companion=("cuhk03_new_protocol_config_detected.mat", "not divided: good as a source, not as a target"),
        ),
        DataSet(
            name="market1501",
            title="Market-1501",
            role="source, target",
            layout=f"{BOXES} with 0002_c1s1_000451_03.jpg",
            expected=({"train": (751, 12936), "query": (750, 3368), "gallery": (750, 15913)},),
            cameras=6,
            folders=("market",),
            reader=list_market1501,
        ),
        DataSet(
            name="dukemtmc",
            title="DukeMTMC-reID",
            role="source, target",
            layout=f"{BOXES} with 0001_c2_f0046182.jpg",
            expected=({"train": (702, 16522), "query": (702, 2228), "gallery": (1110, 17661)},),
            cameras=8,
            folders=("duke",),
            reader=list_dukemtmc,
            notice=DUKE_NOTICE,
        ),
        DataSet(
            name="cuhksysu",
            title="CUHK-SYSU",
            role="source",
            layout="Image/SSM/s1.jpg and annotation/Person.mat, or cropped_image/p00001_n01_s00015_hard0.png",
            expected=({"train": (11934, 34574)},),
            cameras=None,
            folders=("cuhksysu",),
            reader=list_cuhksysu,
        ),
        DataSet(
            name="msmt17",
            title="MSMT17",
            role="source, target",
            layout="train/0000/0000_000_01_0303morning_0015_0.jpg and test/ (or mask_train_v2/ and mask_test_v2/), "
            "list_train.txt, list_val.txt, list_query.txt, list_gallery.txt",
            expected=({"train": (1041, 32621), "query": (3060, 11659), "gallery": (3060, 82161)},),
            cameras=15,
            folders=("msmt17",),
            reader=list_msmt17,
        ),
        DataSet(
            name="viper",
            title="VIPeR",
            role="target",
            layout="cam_a/000_45.bmp, cam_b/000_90.bmp",
            expected=({"query": (632, 632), "gallery": (632, 632)},),
            cameras=2,
            folders=("viper",),
            reader=list_viper,
        ),
        DataSet(
            name="prid",
            title="PRID 2011",
            role="target",
            layout="single_shot/cam_a/person_0001.png, single_shot/cam_b/person_0001.png",
            expected=({"query": (385, 385), "gallery": (749, 749)},),
            cameras=2,
            folders=("prid",),
            reader=list_prid,
            alone=185,
        ),
        DataSet(
            name="grid",
            title="QMUL GRID",
            role="target",
            layout="probe/0001_1_25004_107_32_106_221.jpeg, gallery/, features_and_partitions.mat",
            expected=({"query": (250, 250), "gallery": (250, 1025)},),
            cameras=None,
            folders=("grid", "qmulgrid", "undergroundreid"),
            reader=list_grid,
            companion=("features_and_partitions.mat", "the seeded splits are used, not the published ones"),
        ),
        DataSet(
            name="ilids",
            title="QMUL i-LIDS",
            role="target",
            layout="Persons/0001001.jpg, or images/0001001.jpg",
            expected=({"gallery": (119, 476)},),
            cameras=None,
            folders=("ilids", "qmulilids"),
            reader=list_ilids,
        ),
    )
}
