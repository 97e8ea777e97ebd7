"""The table of the ten data sets; `SETS["mine"] = DataSet(…)` adds another one at run time."""

from functools import partial

from metabin.datasets.cuhk03 import list_cuhk03
from metabin.datasets.cuhksysu import list_cuhksysu
from metabin.datasets.dataset import DataSet
from metabin.datasets.market1501 import DUKE_NAME, MARKET_NAME, list_layout
from metabin.datasets.msmt17 import list_msmt17
from metabin.datasets.small_sets import list_small_set

BOXES = "bounding_box_train/, query/, bounding_box_test/"
DUKE_NOTICE = (
    "DukeMTMC was withdrawn by its university in 2019: people had been filmed outdoors and put "
    "online against the approved protocol. It is read only on request, to compare with published "
    "numbers; think about whether you need it."
)
SETS = {
    dataset.name: dataset
    for dataset in (
        DataSet(
            name="cuhk02",
            title="CUHK02",
            role="source",
            layout="P1/cam1/*.png, P1/cam2/ … P5/cam2/",
            expected=({"train": (1816, 7264)},),
            cameras=10,
            folders=("cuhk02",),
            reader=partial(list_small_set, "cuhk02"),
        ),
        DataSet(
            name="cuhk03",
            title="CUHK03",
            layout="cuhk-03.mat, or images_detected/1_001_1_01.png, "
            "or detected/bounding_box_train/0001_c1_1.png … of CUHK03-NP",
            expected=(
                {"train": (1467, 14097)},
                {"train": (767, 7365), "query": (700, 1400), "gallery": (700, 5332)},
            ),
            folders=("cuhk03",),
            reader=list_cuhk03,
            companion=(
                "cuhk03_new_protocol_config_detected.mat",
                "not divided: good as a source, not as a target",
            ),
        ),
        DataSet(
            name="market1501",
            title="Market-1501",
            layout=f"{BOXES} with 0002_c1s1_000451_03.jpg",
            expected=({"train": (751, 12936), "query": (750, 3368), "gallery": (750, 15913)},),
            cameras=6,
            folders=("market",),
            reader=partial(list_layout, name="market1501", pattern=MARKET_NAME),
        ),
        DataSet(
            name="dukemtmc",
            title="DukeMTMC-reID",
            layout=f"{BOXES} with 0001_c2_f0046182.jpg",
            expected=({"train": (702, 16522), "query": (702, 2228), "gallery": (1110, 17661)},),
            cameras=8,
            folders=("duke",),
            others=("DukeMTMC-VideoReID", "DukeMTMC-attribute"),
            reader=partial(list_layout, name="dukemtmc", pattern=DUKE_NAME),
            notice=DUKE_NOTICE,
        ),
        DataSet(
            name="cuhksysu",
            title="CUHK-SYSU",
            role="source",
            layout="Image/SSM/s1.jpg and annotation/Person.mat, "
            "or cropped_images/p11422_s16929_1.jpg",
            expected=({"train": (11934, 34574)},),
            folders=("cuhksysu",),
            reader=list_cuhksysu,
        ),
        DataSet(
            name="msmt17",
            title="MSMT17",
            layout="train/0000/0000_000_01_0303morning_0015_0.jpg and test/ (or mask_train_v2/ "
            "and mask_test_v2/), list_train.txt, list_val.txt, list_query.txt, list_gallery.txt",
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
            reader=partial(list_small_set, "viper"),
        ),
        DataSet(
            name="prid",
            title="PRID 2011",
            role="target",
            layout="single_shot/cam_a/person_0001.png, single_shot/cam_b/person_0001.png",
            expected=({"query": (385, 385), "gallery": (749, 749)},),
            cameras=2,
            folders=("prid",),
            others=("PRID-450S",),
            reader=partial(list_small_set, "prid"),
            alone=185,
        ),
        DataSet(
            name="grid",
            title="QMUL GRID",
            role="target",
            layout="probe/0001_1_25004_107_32_106_221.jpeg, gallery/, features_and_partitions.mat",
            expected=({"query": (250, 250), "gallery": (250, 1025)},),
            folders=("grid", "qmulgrid", "undergroundreid"),
            reader=partial(list_small_set, "grid"),
            companion=(
                "features_and_partitions.mat",
                "the seeded splits are used, not the published ones",
            ),
        ),
        DataSet(
            name="ilids",
            title="QMUL i-LIDS",
            role="target",
            layout="Persons/0001001.jpg, or images/0001001.jpg",
            expected=({"gallery": (119, 476)},),
            folders=("ilids", "qmulilids"),
            others=("iLIDS-VID",),
            reader=partial(list_small_set, "ilids"),
        ),
    )
}
