"""The doctor of the data sets: whole, damaged, mixed-up and missing sets, and its exit codes."""

import random
import re
import shutil
import sys
from dataclasses import replace

import fake_datasets as fake
import numpy as np
import pytest
from PIL import Image

from metabin.datasets import SETS
from metabin.datasets.command import main
from metabin.datasets.doctor import examine

WHOLE = {  # the miniature trees: part -> (persons, pictures), distractors among the pictures
    "cuhk02": {"train": (10, 40)},
    "cuhk03": {"train": (3, 7)},
    "market1501": {"train": (2, 4), "query": (2, 2), "gallery": (2, 4)},
    "dukemtmc": {"train": (1, 2), "query": (1, 1), "gallery": (2, 2)},
    "cuhksysu": {"train": (2, 4)},
    "msmt17": {"train": (2, 3), "query": (2, 2), "gallery": (2, 2)},
    "viper": {"query": (3, 3), "gallery": (3, 3)},
    "prid": {"query": (3, 3), "gallery": (4, 4)},
    "grid": {"query": (2, 2), "gallery": (2, 4)},
    "ilids": {"gallery": (2, 5)},
}


@pytest.fixture(autouse=True)
def small_is_whole(monkeypatch):
    """The table of sets as if the miniature trees were complete copies."""
    cameras = {"dukemtmc": 4, "msmt17": 6}
    for name, counts in WHOLE.items():
        dataset = replace(SETS[name], expected=(counts,), alone=1 if name == "prid" else 0)
        dataset = replace(dataset, cameras=cameras.get(name, dataset.cameras))
        monkeypatch.setitem(SETS, name, dataset)


@pytest.fixture
def check(capsys):
    """Run the command on a folder; gives its exit code and what it printed, in one line."""

    def run(root, *options):
        code = main(["check", "--data-root", str(root), *options])
        return code, " ".join(capsys.readouterr().out.split())

    return run


def files(root):
    there = [file for file in root.rglob("*") if file.is_file()]
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in there}


def test_whole_sets_are_called_complete_and_nothing_is_changed(tmp_path, check):
    before = files(fake.write_every_set(tmp_path))
    code, text = check(tmp_path, "--opt-in", "dukemtmc")
    assert code == 0 and text.count(": complete") == 10 and "!" not in text
    assert "With a problem: none" in text and files(tmp_path) == before
    assert "query 2 persons 2 pictures 2 cameras" in text
    assert "left out, as it should be: 1 junk pictures" in text


def test_what_isnt_there_is_no_problem_unless_it_was_asked_for(tmp_path, check):
    code, text = check(tmp_path)
    assert code == 0 and text.count(": not there") == 9 and "Found: none" in text
    assert f"expected: {SETS['viper'].layout}" in text
    assert f"put that into {tmp_path / 'viper'}" in text
    code, text = check(tmp_path, "--set", "viper", "grid")
    assert code == 1 and text.count("you asked for this set, and it is not there") == 2
    code, text = check(tmp_path / "nowhere")
    assert code == 1 and "nowhere is not there: give the folder" in text
    (tmp_path / "people.csv").touch()
    assert "people.csv is a file: give the folder" in check(tmp_path / "people.csv")[1]


def test_what_looks_like_a_set_but_is_none_is_pointed_at(tmp_path, check):
    for name in ("VIPeR/images", "iLIDS-VID", "PRID_450S"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "Market-1501-v15.09.15.zip").write_bytes(b"PK")
    code, text = check(tmp_path)
    assert code == 0
    assert f"{tmp_path / 'VIPeR'} has the set's name, but not the layout below" in text
    assert f"{tmp_path / 'Market-1501-v15.09.15.zip'} may hold it: unpack it there" in text
    assert text.count("has the set's name") == 1
    for name in ("iLIDS-VID", "PRID_450S"):
        assert f"{tmp_path / name} is another set" in text
    for name in ("viper", "VIPeR.v1.0"):
        fake.write_viper(tmp_path / name)
    assert check(tmp_path)[1].count("also in") == 1


def test_duke_is_looked_for_on_request_only_and_never_without_its_notice(tmp_path, check, capsys):
    fake.write_dukemtmc(tmp_path / "DukeMTMC-reID")
    notice = "DukeMTMC was withdrawn by its university in 2019"
    for options, status in (((), "not looked for"), (("--opt-in", "dukemtmc"), "complete")):
        code, text = check(tmp_path, *options)
        assert code == 0 and notice in text
        assert f"DukeMTMC-reID (source, target): {status}" in text
    with pytest.raises(SystemExit) as stop:
        check(tmp_path, "--set", "dukemtmc")
    error = " ".join(capsys.readouterr().err.split())
    assert stop.value.code == 2 and "only with --opt-in dukemtmc" in error


def test_counts_that_differ_are_a_problem_beside_the_right_ones(tmp_path, check):
    fake.write_market1501(tmp_path)
    for name in ("query/0005_c4s1_000301_00", "bounding_box_train/0007_c6s4_001902_01"):
        (tmp_path / f"{name}.jpg").unlink()
    (tmp_path / "bounding_box_test" / "0003_c6s1_000076_02.jpg").unlink()
    code, text = check(tmp_path, "--set", "market1501")
    assert code == 1 and "Market-1501 (source, target): PROBLEM" in text
    assert "query has 1 of 2 persons in 1 of 2 pictures" in text
    assert "train has 2 of 2 persons in 3 of 4 pictures" in text and "4 of 6 cameras" in text
    assert "Unpack the set again" in text and "If it is a converted copy: give" in text
    shutil.rmtree(tmp_path / "query")
    assert "query has 0 of 2 persons" in check(tmp_path, "--set", "market1501")[1]


def test_a_copy_with_more_pictures_is_not_to_be_unpacked_again(tmp_path, check):
    fake.write_viper(tmp_path)
    fake.write_all(tmp_path / "cam_a", "077_0.bmp")
    fake.write_all(tmp_path / "cam_b", "077_90.bmp")
    code, text = check(tmp_path, "--set", "viper")
    assert code == 1 and "converted or extended copy" in text and "Unpack" not in text
    for file in (tmp_path / "cam_a").iterdir():  # one part has more, the set has not
        file.unlink()
    fake.write_all(tmp_path / "cam_a", "000_0.bmp")
    text = check(tmp_path, "--set", "viper")[1]
    assert "converted or extended copy" in text and "Unpack" not in text


def test_lists_that_are_all_missing_are_named_beside_the_pictures(tmp_path, check):
    fake.write_msmt17(tmp_path / "MSMT17")
    for file in (tmp_path / "MSMT17").glob("*.txt"):
        file.unlink()
    code, text = check(tmp_path, "--set", "msmt17")
    lists = "list_train.txt, list_val.txt, list_query.txt, list_gallery.txt"
    assert code == 1 and f"lacks {lists}: the set's archive has the lists" in text
    assert "add what is missing" in text and "npack" not in text
    shutil.rmtree(tmp_path / "MSMT17")
    fake.write_all(tmp_path / "train" / "dogs", "0001.jpg")  # somebody else's pictures
    assert "MSMT17 (source, target): not there" in check(tmp_path)[1]


def test_missing_folders_and_lists_are_named_and_where_the_set_already_lies(tmp_path, check):
    fake.write_cuhk02(tmp_path / "CUHK02" / "Dataset")
    shutil.rmtree(tmp_path / "CUHK02/Dataset/P5")
    shutil.rmtree(tmp_path / "CUHK02/Dataset/P2/cam1")
    fake.write_msmt17(tmp_path / "MSMT17")
    (tmp_path / "MSMT17/list_val.txt").unlink()
    code, text = check(tmp_path)
    assert code == 1 and "lacks list_val.txt" in text
    assert "lacks pictures in P2/cam1, P5/cam1, P5/cam2" in text
    for name in ("CUHK02", "MSMT17"):
        assert f"it already lies in {tmp_path / name}: add what is missing" in text
        assert "npack it again" not in text
        assert f"put that into {tmp_path / name.lower()}" not in text


def test_a_copy_in_markets_layout_is_called_converted(tmp_path, check):
    fake.write_market1501(tmp_path / "MSMT17")
    assert "MSMT17 is a converted copy" in check(tmp_path / "MSMT17", "--set", "msmt17")[1]
    code, text = check(tmp_path)
    assert code == 0 and f"{tmp_path / 'MSMT17'} is a converted copy, in Market-1501's" in text
    assert "give the original" in text
    (tmp_path / "MSMT17/train").mkdir()
    (tmp_path / "MSMT17/list_train.txt").touch()
    code, text = check(tmp_path)
    assert code == 1 and "lacks list_val" in text
    assert "MSMT17 is a converted copy" in text and "unpack it again" not in text


def damage(file, how):
    """Damage a picture in a way that disks and broken downloads do."""
    if how == "empty":
        file.write_bytes(b"")
    elif how == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    elif how == "a web page":
        file.write_text("<html>404 not found</html>")
    else:
        file.unlink()
        file.symlink_to(file.parent / "nothing")


REASONS = {"empty": "empty file", "cut": "truncated", "a web page": "not a picture"}
REASONS["a link"] = "no such file"


@pytest.mark.parametrize("how", REASONS)
@pytest.mark.parametrize("name", SETS)
def test_damaged_pictures_are_named_with_the_reason_unless_fast(name, how, tmp_path, check):
    fake.FAKES[name][0](tmp_path)
    listing = SETS[name].read(tmp_path)
    file = listing.pictures[1].file
    damage(file, how)
    options = ("--set", name, *(("--opt-in", name) if SETS[name].opt_in else ()))
    code, text = check(tmp_path, *options)
    place = re.escape(str(file.relative_to(listing.root)))
    line = re.search(rf"cannot be read: 1. Copy them again: {place}: ([\w ]+)", text)
    assert code == 1 and line and REASONS[how] in line[1].lower()
    code, text = check(tmp_path, *options, "--fast")
    assert code == 0 and "With --fast no picture is opened" in text


def test_of_very_many_damaged_pictures_the_rest_is_counted(tmp_path, check, monkeypatch):
    monkeypatch.setattr("metabin.datasets.doctor.NAMED", 3)
    fake.write_cuhk02(tmp_path)
    for picture in SETS["cuhk02"].read(tmp_path).pictures:
        damage(picture.file, "empty")
    code, text = check(tmp_path, "--set", "cuhk02")
    assert code == 1 and "cannot be read: 40." in text
    assert text.count(": empty file") == 3 and "… and 37 more" in text


def test_a_damaged_picture_in_an_hdf5_file_is_named_and_a_missing_h5py(
    tmp_path, check, monkeypatch
):
    h5py = pytest.importorskip("h5py")
    fake.write_cuhk03_mat(tmp_path)
    with h5py.File(tmp_path / "cuhk-03.mat") as mat:
        chunk = mat["#refs#/1_1_9"].id.get_chunk_info(0)  # person 2 of pair 1, column 10
    with (tmp_path / "cuhk-03.mat").open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    code, text = check(tmp_path, "--set", "cuhk03")
    assert code == 1 and "cannot be read: 1. Copy them again: cuhk-03.mat/detected/0/9/1: " in text
    monkeypatch.setitem(sys.modules, "h5py", None)
    code, text = check(tmp_path, "--set", "cuhk03")
    assert code == 1 and "pip install h5py" in text


def test_boxes_outside_of_their_scene_are_named(tmp_path, check, monkeypatch):
    monkeypatch.setitem(fake.SYSU, 1, [("s1.jpg", (1, 1, 8, 20)), ("s3.jpg", (51, 5, 10, 25))])
    fake.write_cuhksysu(tmp_path)
    code, text = check(tmp_path, "--set", "cuhksysu")
    fault = "Image/SSM/s3.jpg: nothing of the box (50, 4, 61, 30) lies within 50x40 pixels"
    assert code == 1 and fault in text


def test_pixels_that_change_are_remarked_and_those_of_unknown_range_are_a_problem(tmp_path, check):
    folder = fake.write_viper(tmp_path) / "cam_a"
    for file in folder.iterdir():
        file.unlink()
    deep = np.linspace(0, 65535, 128).astype(np.uint16).reshape(16, 8)
    Image.fromarray(deep).save(folder / "000_45.png")
    half = Image.new("RGBA", (8, 16), (200, 0, 0, 128))
    half.save(folder / "001_0.png")
    half.convert("RGB").save(folder / "045_90.png")
    code, text = check(tmp_path, "--set", "viper")
    assert code == 0
    assert "has 1 pictures with 16 bits a pixel, scaled to 8, e.g. 'cam_a/000_45.png'" in text
    assert "has 1 pictures with transparent pixels, laid over white, e.g. 'cam_a/001_0" in text
    Image.fromarray(deep.astype(np.float32)).save(folder / "045_90.tif")
    (folder / "045_90.png").unlink()
    code, text = check(tmp_path, "--set", "viper")
    assert code == 1 and "cam_a/045_90.tif: its pixels are 32-bit numbers" in text


def test_persons_in_train_and_test_are_a_leak(tmp_path, check):
    folder = fake.write_market1501(tmp_path) / "bounding_box_train"
    (folder / "0007_c2s3_070952_01.jpg").rename(folder / "0005_c2s3_070952_01.jpg")
    code, text = check(tmp_path, "--set", "market1501")
    leak = "in train and also in query or gallery: 1 persons, e.g. that of 0005_c2s3_070952_01.jpg"
    assert code == 1 and leak in text


def test_query_persons_without_a_match_are_a_problem_beyond_those_by_design(tmp_path, check):
    folder = fake.write_prid(tmp_path) / "single_shot" / "cam_b"
    assert check(tmp_path, "--set", "prid")[0] == 0  # person 201 of camera a is not camera b's
    (folder / "person_0200.png").rename(folder / "person_0202.png")
    code, text = check(tmp_path, "--set", "prid")
    assert code == 1 and "in the query and not in the gallery (1 are by design): 2 persons" in text
    assert "that of person_0200.png, person_0201.png" in text


def test_queries_that_only_their_own_camera_matches_are_remarked(tmp_path, check):
    gallery = fake.write_market1501(tmp_path) / "bounding_box_test"
    (gallery / "0005_c1s1_001001_01.jpg").rename(gallery / "0005_c4s1_001001_01.jpg")
    code, text = check(tmp_path, "--set", "market1501")
    assert code == 0
    assert "1 queries have no match from another camera, e.g. 0005_c4s1_000301_00.jpg" in text


def test_a_missing_companion_file_is_remarked_with_what_it_means(tmp_path, check):
    fake.write_grid(tmp_path / "grid")
    meaning = "features_and_partitions.mat is not there: the seeded splits are used"
    assert meaning in check(tmp_path)[1]
    (tmp_path / "grid" / "features_and_partitions.mat").write_bytes(b"")
    assert meaning not in check(tmp_path)[1]


def test_cuhk03_is_measured_by_the_form_it_comes_in(tmp_path, check, monkeypatch):
    forms = ({"train": (3, 7)}, {"train": (1, 2), "query": (1, 1), "gallery": (1, 1)})
    monkeypatch.setitem(SETS, "cuhk03", replace(SETS["cuhk03"], expected=forms))
    fake.write_cuhk03_extracted(tmp_path / "whole")
    code, text = check(tmp_path / "whole", "--set", "cuhk03")
    assert code == 0 and "not divided: good as a source, not as a target" in text
    fake.write_cuhk03_np(tmp_path / "divided")
    code, text = check(tmp_path / "divided", "--set", "cuhk03")
    assert code == 0 and "not divided" not in text
    (tmp_path / "divided/detected/query/0004_c1_1.png").unlink()
    code, text = check(tmp_path / "divided", "--set", "cuhk03")
    assert code == 1 and "query has 0 of 1 persons in 0 of 1 pictures" in text


@pytest.mark.parametrize("arguments", ["", "cure", "check", "check --data-root . --set imagenet"])
def test_a_call_that_the_command_doesnt_know_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    assert stop.value.code == 2 and "usage: python -m metabin data" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SETS)
def test_whatever_happened_to_a_folder_nothing_is_dropped_without_a_count(name, seed, tmp_path):
    """After random damage every picture is listed, named, counted, or the set has a problem."""
    rng = random.Random(f"{name} {seed}")
    fake.FAKES[name][0](tmp_path)
    pictures = sorted({picture.file for picture in SETS[name].read(tmp_path).pictures})
    hurt, gone = [], []
    for file in rng.sample(pictures, rng.randint(1, len(pictures))):
        kind = rng.choice([*REASONS, "delete", "rename", "folder"])
        if kind in REASONS:
            hurt.append(file)
            damage(file, kind)
            continue
        gone.append(file)
        if kind == "rename":
            file.rename(file.with_name(f"somebody {file.name}"))
        else:
            file.unlink()
        if kind == "folder":
            file.mkdir()
    diagnosis = examine(SETS[name], tmp_path)
    if diagnosis.listing is None:
        assert diagnosis.problems or set(pictures) == set(gone)
        return
    assert {p.file for p in diagnosis.listing.pictures} == set(pictures) - set(gone)
    named = "\n".join(diagnosis.problems)
    for file in hurt:
        assert f"{file.relative_to(diagnosis.listing.root)}: " in named
    assert not gone or "not a complete copy" in named


OF_A_SET = {
    "annotation/Person.mat": ("cuhksysu", fake.write_cuhksysu),
    "list_gallery.txt": ("msmt17", fake.write_msmt17),
    "cuhk-03.mat": ("cuhk03", fake.write_cuhk03_mat),
    "cuhk03_new_protocol_config_detected.mat": ("cuhk03", fake.write_cuhk03_extracted),
}


@pytest.mark.parametrize("how", ["cut", "zeros", "noise", "another file", "empty"])
@pytest.mark.parametrize("file", OF_A_SET)
def test_a_damaged_file_of_a_set_is_a_problem_that_names_it(file, how, tmp_path, check):
    pytest.importorskip("h5py")
    name, write = OF_A_SET[file]
    fake.write_cuhk03_division(tmp_path)
    write(tmp_path)
    good, rng = (tmp_path / file).read_bytes(), random.Random(how)
    keep = 200 if len(good) > 200 else 0
    bad = {
        "cut": good[: len(good) * 2 // 3],
        "zeros": bytes(len(good)),
        "noise": good[:keep] + rng.randbytes(len(good) - keep),
        "another file": b"<html>404 not found</html>",
        "empty": b"",
    }
    (tmp_path / file).write_bytes(bad[how])
    code, text = check(tmp_path, "--set", name)
    (problems,) = re.findall(r"PROBLEM(.*?)(?: - expected|Found:)", text)
    assert code == 1 and (file.split("/")[-1] in problems or "not a complete copy" in problems)
