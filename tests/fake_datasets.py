"""Miniature trees in the layouts of the ten real data sets, written when a test needs them.

Each `write_*` puts one set into a folder, under the names that the real files have, with a handful
of people.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def write_picture(path: Path, size: tuple[int, int] = (8, 16), mode: str = "RGB", **how) -> Path:
    """A picture of `size` = (width, height) whose colours run from corner to corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    Image.fromarray(ramp).convert(mode).save(path, **how)
    return path


def write_all(folder: Path, names: str | list[str]) -> None:
    """Pictures of these names; a text has the names between spaces."""
    for name in names.split() if isinstance(names, str) else names:
        write_picture(folder / name)


def write_market1501(root: Path) -> Path:
    """Persons 2 and 7 to train with, 3 and 5 to test; a distractor and junk in the gallery."""
    write_all(root / "bounding_box_train", "0002_c1s1_000451_03.jpg 0002_c3s1_000551_00.jpg")
    write_all(root / "bounding_box_train", "0007_c2s3_070952_01.jpg 0007_c6s4_001902_01.jpg")
    write_all(root / "query", "0003_c1s6_015971_00.jpg 0005_c4s1_000301_00.jpg")
    write_all(root / "bounding_box_test", "-1_c1s1_000401_03.jpg 0000_c5s1_000151_01.jpg")
    write_all(root / "bounding_box_test", "0003_c2s1_000476_01.jpg 0003_c6s1_000076_02.jpg")
    write_all(root / "bounding_box_test", "0005_c1s1_001001_01.jpg")
    return root


def write_dukemtmc(root: Path) -> Path:
    """Person 1 to train with, 5 to test, 9 in the gallery only."""
    write_all(root / "bounding_box_train", "0001_c2_f0046182.jpg 0001_c8_f0046302.jpg")
    write_all(root / "query", "0005_c2_f0046985.jpg")
    write_all(root / "bounding_box_test", "0005_c1_f0051341.jpg 0009_c3_f0066182.jpg")
    return root


def write_cuhk02(root: Path) -> Path:
    """Two persons per pair of cameras, two pictures of each by each camera."""
    for pair in range(1, 6):
        for camera in (1, 2):
            first = 10 * camera
            names = [f"{n:03d}_{first + k}.png" for n in (1, 2) for k in (0, 1)]
            write_all(root / f"P{pair}/cam{camera}", names)
    return root


CUHK03 = {(1, 1): (1, 2, 6), (1, 2): (3, 10), (2, 1): (1, 7)}  # (pair, person) -> filled columns


def write_cuhk03_extracted(root: Path) -> Path:
    for (pair, person), columns in CUHK03.items():
        names = [f"{pair}_{person:03d}_{1 if k <= 5 else 2}_{k:02d}.png" for k in columns]
        write_all(root / "images_detected", names)
    return root


def write_cuhk03_mat(root: Path) -> Path:
    """The same pictures in an HDF5 file as MATLAB writes it: cells are references, transposed."""
    import h5py

    root.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / "cuhk-03.mat", "w") as mat:
        pairs = np.empty((1, 5), object)
        for pair in range(1, 6):
            persons = [n for g, n in CUHK03 if g == pair]
            cell = np.empty((10, len(persons)), object)
            for row, person in enumerate(persons):
                for column in range(10):
                    data = np.zeros(2, np.uint64)  # MATLAB's empty cell: its two sizes
                    if column + 1 in CUHK03[pair, person]:
                        data = cuhk03_pixels(pair, person, column + 1).T  # (3, W, H)
                    name = f"#refs#/{pair}_{row}_{column}"
                    picture = mat.create_dataset(name, data=data, compression="gzip")
                    cell[column, row] = picture.ref
            refs = mat.create_dataset(f"#refs#/{pair}", data=cell, dtype=h5py.ref_dtype)
            pairs[0, pair - 1] = refs.ref
        mat.create_dataset("detected", data=pairs, dtype=h5py.ref_dtype)
    return root


def cuhk03_pixels(pair: int, person: int, column: int) -> np.ndarray:
    """What the HDF5 file holds for a person, (H, W, 3)."""
    rng = np.random.default_rng([pair, person, column])
    return rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)


def write_cuhk03_division(root: Path, number: type = int) -> Path:
    """The file with the new division.

    Person 1 of pair 1 is to train with, person 2 to test, person 1 of pair 2 is not named.
    """
    names = "1_001_1_01.png 1_001_1_02.png 1_001_2_06.png 1_002_1_03.png 1_002_2_10.png".split()
    content = {"filelist": np.array(names, object)[:, None]}
    for part, places in {"train": [1, 2, 3], "query": [4], "gallery": [5]}.items():
        content[f"{part}_idx"] = np.array(places, number)[:, None]
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "cuhk03_new_protocol_config_detected.mat", content)
    return root


def write_cuhk03_np(root: Path) -> Path:
    write_all(root / "detected/bounding_box_train", "0001_c1_1.png 0001_c2_6.png")
    write_all(root / "detected/query", "0004_c1_1.png")
    write_all(root / "detected/bounding_box_test", "0004_c2_7.png")
    write_all(root / "labeled/bounding_box_train", "0001_c1_1.png")
    return root


SYSU = {
    1: [("s1.jpg", (1, 1, 8, 20)), ("s3.jpg", (11, 5, 10, 25))],
    5: [("s1.jpg", (21, 3, 20, 28)), ("s2.jpg", (2, 2, 5, 9))],
}


def write_cuhksysu(root: Path) -> Path:
    """Persons 1 and 5, twice each, in three scenes of 50x40 pixels."""
    for scene in ("s1.jpg", "s2.jpg", "s3.jpg"):
        write_picture(root / "Image/SSM" / scene, (50, 40))
    scene_type = [("imname", object), ("idlocate", object), ("ishard", object)]
    people = np.empty((1, len(SYSU)), [("idname", object), ("nAppear", object), ("scene", object)])
    for column, (person, scenes) in enumerate(SYSU.items()):
        rows = np.empty((1, len(scenes)), scene_type)
        for k, (name, box) in enumerate(scenes):
            rows[0, k] = (name, np.array([box], np.float64), 0)
        people[0, column] = (f"p{person}", len(scenes), rows)
    (root / "annotation").mkdir(parents=True)
    savemat(root / "annotation/Person.mat", {"Person": people})
    return root


def write_cuhksysu_cropped(root: Path) -> Path:
    """As the copy that most people have."""
    write_all(root / "cropped_images", "p1_s1_1.jpg p1_s3_2.jpg p5_s1_1.jpg p5_s2_2.jpg")
    return root


def write_cuhksysu_matlab(root: Path) -> Path:
    """As its own MATLAB script cuts persons out."""
    for person in SYSU:
        names = [f"p{person:05d}_n{k:02d}_s00001_hard0.png" for k in (1, 2)]
        write_all(root / "cropped_image", names)
    return root


MSMT17 = {
    "train": "0000/0000_000_01_0303morning_0015_0.jpg 0\n0001/0001_000_04_0303noon_0020_1.jpg 1",
    "val": "0001/0001_001_05_0303noon_0021_1.jpg 1",
    "query": "0000/0000_000_01_0303morning_0100_0.jpg 0\n0001/0001_002_15_0303noon_0100_0.jpg 1",
    "gallery": "0000/0000_001_07_0303noon_0300_0.jpg 0\n0001/0001_003_02_0303noon_0301_0.jpg 1",
}


def write_msmt17(root: Path, train: str = "train", test: str = "test") -> Path:
    """Persons 0 and 1 to train with (one picture to validate), persons 0 and 1 of others to test."""
    for name, text in MSMT17.items():
        place = train if name in ("train", "val") else test
        write_all(root / place, [line.rpartition(" ")[0] for line in text.splitlines()])
        (root / f"list_{name}.txt").write_text(text + "\n")
    return root


def write_viper(root: Path) -> Path:
    """Persons 0, 1 and 45."""
    write_all(root / "cam_a", "000_45.bmp 001_0.bmp 045_90.bmp")
    write_all(root / "cam_b", "000_135.bmp 001_90.bmp 045_180.bmp")
    return root


def write_prid(root: Path) -> Path:
    """Both cameras saw persons 1 and 200; person 201 of each is another; 749 is camera b's last."""
    for camera, numbers in (("cam_a", (1, 200, 201)), ("cam_b", (1, 200, 201, 749))):
        write_all(root / "single_shot" / camera, [f"person_{number:04d}.png" for number in numbers])
        write_all(root / "multi_shot" / camera / "person_0001", "0001.png")
    return root


def write_grid(root: Path) -> Path:
    """Persons 1 and 250, and two distractors."""
    write_all(root / "probe", "0001_1_25004_107_32_106_221.jpeg 0250_5_30109_4_63_115_263.jpeg")
    write_all(root / "gallery", "0000_3_1_2_3_4_5.jpeg 0000_7_1_2_3_4_6.jpeg")
    write_all(root / "gallery", "0001_2_25023_116_134_128_330.jpeg")
    write_all(root / "gallery", "0250_8_30213_60_32_84_172.jpeg")
    return root


def write_ilids(root: Path) -> Path:
    """Person 1 three times, person 119 twice."""
    write_all(root / "Persons", "0001001.jpg 0001002.jpg 0001003.jpg 0119001.jpg 0119004.jpg")
    return root


# set -> (writer, the folder that the archive unpacks to or users make)
FAKES = {
    "cuhk02": (write_cuhk02, "cuhk02/Dataset"),
    "cuhk03": (write_cuhk03_extracted, "cuhk03"),
    "market1501": (write_market1501, "Market-1501-v15.09.15"),
    "dukemtmc": (write_dukemtmc, "DukeMTMC-reID"),
    "cuhksysu": (write_cuhksysu, "CUHK-SYSU/dataset"),
    "msmt17": (write_msmt17, "msmt17/MSMT17_V1"),
    "viper": (write_viper, "VIPeR.v1.0/VIPeR"),
    "prid": (write_prid, "prid2011/prid_2011"),
    "grid": (write_grid, "grid/underground_reid"),
    "ilids": (write_ilids, "QMUL-iLIDS/i-LIDS_Pedestrian"),
}


def write_every_set(root: Path) -> Path:
    """All ten, one beside the other."""
    for write, folder in FAKES.values():
        write(root / folder)
    return root
