"""The doctor of the data sets: what it says of whole, damaged, mixed-up and missing sets, and its exit codes."""

import random
import re
import shutil
import sys
from dataclasses import replace

import fake_datasets as fake
import pytest
from metabin.datasets.command import main

from metabin.datasets import SETS
from metabin.datasets.doctor import examine

WHOLE = {  # what the miniature trees hold: part -> (persons, pictures), distractors among the pictures
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
        known = SETS[name]
        few = cameras.get(name, known.cameras)
        monkeypatch.setitem(
            SETS,
            name,
            replace(known, expected=(counts,), cameras=few, alone=1 if name == "prid" else 0),
        )


@pytest.fixture
def check(capsys):
    """Run the command on a folder; gives its exit code and what it printed, in one line for easier searching."""

    def run(root, *options):
        code = main(["check", "--data-root", str(root), *options])
        return code, " ".join(capsys.readouterr().out.split())

    return run


def files(root):
    return {
        file: (file.read_bytes(), file.stat().st_mtime_ns)
        for file in root.rglob("*")
        if file.is_file()
    }


def test_whole_sets_are_called_complete_and_nothing_is_changed(tmp_path, check):
    before = files(fake.write_every_set(tmp_path))
    code, text = check(tmp_path, "--opt-in", "dukemtmc")
    assert code == 0 and text.count(": complete") == 10 and "!" not in text
    assert "With a problem: none" in text and files(tmp_path) == before


def test_persons_pictures_and_cameras_stand_in_an_aligned_table(tmp_path, capsys):
    fake.write_market1501(tmp_path)
    main(["check", "--data-root", str(tmp_path), "--set", "market1501"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:9] == [
        "Market-1501 (source, target): complete",
        f"  in {tmp_path}",
        "             persons  pictures  cameras",
        "    train          2         4        4",
        "    query          2         2        2",
        "    gallery        2         4        4",
        "  - left out, as it should be: 1 junk pictures (person -1)",
    ]


def test_what_isnt_there_is_no_problem_unless_it_was_asked_for(tmp_path, check):
    code, text = check(tmp_path)
    assert code == 0 and text.count(": not there") == 9 and "Found: none" in text
    assert (
        f"expected: {SETS['viper'].layout}" in text
        and f"put that into {tmp_path / 'viper'}" in text
    )
    code, text = check(tmp_path, "--set", "viper", "grid")
    assert code == 1 and text.count("you asked for this set, and it is not there") == 2
    assert check(tmp_path / "nowhere") == (
        1,
        f"{tmp_path / 'nowhere'} is no folder: give the one that holds the data sets as --data-root",
    )


def test_what_looks_like_the_set_but_cant_be_read_is_pointed_at(tmp_path, check):
    (tmp_path / "VIPeR" / "images").mkdir(parents=True)
    (tmp_path / "Market-1501-v15.09.15.zip").write_bytes(b"PK")
    code, text = check(tmp_path)
    assert code == 0
    assert f"{tmp_path / 'VIPeR'} has the set's name, but not the layout below" in text
    assert f"{tmp_path / 'Market-1501-v15.09.15.zip'} may hold it: unpack it there" in text


def test_duke_is_looked_for_on_request_only_and_never_without_its_notice(tmp_path, check, capsys):
    fake.write_dukemtmc(tmp_path / "DukeMTMC-reID")
    code, text = check(tmp_path)
    assert (
        code == 0
        and "DukeMTMC-reID (source, target): not looked for" in text
        and "DukeMTMC was withdrawn by its university in 2019" in text
    )
    code, text = check(tmp_path, "--opt-in", "dukemtmc")
    assert (
        code == 0
        and "DukeMTMC-reID (source, target): complete" in text
        and "DukeMTMC was withdrawn by its university in 2019" in text
    )
    with pytest.raises(SystemExit) as stop:
        check(tmp_path, "--set", "dukemtmc")
    assert stop.value.code == 2 and "only with --opt-in dukemtmc" in " ".join(
        capsys.readouterr().err.split()
    )


def test_counts_that_differ_are_a_problem_beside_the_right_ones(tmp_path, check):
    fake.write_market1501(tmp_path)
    (tmp_path / "query" / "0005_c4s1_000301_00.jpg").unlink()
    (tmp_path / "bounding_box_train" / "0007_c6s4_001902_01.jpg").unlink()
    (tmp_path / "bounding_box_test" / "0003_c6s1_000076_02.jpg").unlink()
    code, text = check(tmp_path, "--set", "market1501")
    assert code == 1 and "Market-1501 (source, target): PROBLEM" in text
    assert "query 1 of 2 1 of 2 1" in text and "query has 1 of 2 persons in 1 of 2 pictures" in text
    assert "train has 2 of 2 persons in 3 of 4 pictures" in text and "4 of 6 cameras" in text


def test_half_a_set_is_a_problem_that_names_the_missing_folder(tmp_path, check):
    fake.write_grid(tmp_path / "grid")
    for file in (tmp_path / "grid" / "gallery").iterdir():
        file.unlink()
    code, text = check(tmp_path)
    assert (
        code == 1
        and "QMUL GRID (target): PROBLEM" in text
        and "gallery holds no picture whose name matches" in text
    )


def test_all_missing_folders_are_named_and_where_the_set_already_lies(tmp_path, check):
    fake.write_cuhk02(tmp_path / "CUHK02" / "Dataset")
    shutil.rmtree(tmp_path / "CUHK02/Dataset/P5")
    shutil.rmtree(tmp_path / "CUHK02/Dataset/P2/cam1")
    code, text = check(tmp_path)
    assert code == 1 and "lacks P2/cam1, P5/cam1, P5/cam2" in text
    assert (
        f"it already lies in {tmp_path / 'CUHK02'}: unpack it again and add what is missing" in text
    )
    assert f"put that into {tmp_path / 'cuhk02'}" not in text


def test_folders_of_other_sets_are_named_as_such(tmp_path, check):
    for name in ("iLIDS-VID", "PRID_450S"):
        (tmp_path / name).mkdir()
    code, text = check(tmp_path)
    assert code == 0 and "has the set's name" not in text
    assert (
        f"{tmp_path / 'iLIDS-VID'} is another set" in text
        and f"{tmp_path / 'PRID_450S'} is another set" in text
    )


def test_a_copy_in_markets_layout_is_called_converted(tmp_path, check):
    fake.write_market1501(tmp_path / "MSMT17")
    assert "MSMT17 is a converted copy" in check(tmp_path / "MSMT17", "--set", "msmt17")[1]
    code, text = check(tmp_path)
    assert (
        code == 0
        and f"{tmp_path / 'MSMT17'} is a converted copy, in Market-1501's layout: give the original"
        in text
    )


def test_a_second_copy_is_remarked_once(tmp_path, check):
    for name in ("viper", "VIPeR.v1.0"):
        fake.write_viper(tmp_path / name)
    code, text = check(tmp_path, "--set", "viper")
    assert code == 0 and text.count("also found in") == 1


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


@pytest.mark.parametrize(
    "how, reason",
    [
        ("empty", "empty file"),
        ("cut", "truncated"),
        ("a web page", "not a picture"),
        ("a link", "no such file"),
    ],
)
@pytest.mark.parametrize("name", SETS)
def test_damaged_pictures_are_named_with_the_reason_unless_it_must_be_fast(
    name, how, reason, tmp_path, check
):
    fake.FAKES[name][0](tmp_path)
    listing = SETS[name].read(tmp_path)
    file = listing.pictures[1].file
    damage(file, how)
    options = ("--opt-in", name) if SETS[name].opt_in else ()
    code, text = check(tmp_path, "--set", name, *options)
    line = re.search(
        rf"cannot be read: 1. Copy them again: {re.escape(str(file.relative_to(listing.root)))}: ([\w ]+)",
        text,
    )
    assert code == 1 and line and reason in line[1].lower()
    code, text = check(tmp_path, "--set", name, *options, "--fast")
    assert code == 0 and "With --fast no picture is opened" in text


def test_of_very_many_damaged_pictures_the_rest_is_counted(tmp_path, check, monkeypatch):
    monkeypatch.setattr("metabin.datasets.doctor.NAMED", 3)
    fake.write_cuhk02(tmp_path)
    for picture in SETS["cuhk02"].read(tmp_path).pictures:
        damage(picture.file, "empty")
    code, text = check(tmp_path, "--set", "cuhk02")
    assert (
        code == 1
        and "cannot be read: 40." in text
        and text.count(": empty file") == 3
        and "… and 37 more" in text
    )


def test_pictures_inside_a_damaged_hdf5_file_are_named(tmp_path, check):
    h5py = pytest.importorskip("h5py")
    fake.write_cuhk03_mat(tmp_path)
    with h5py.File(tmp_path / "cuhk-03.mat") as mat:
        chunk = mat["#refs#/1_1_9"].id.get_chunk_info(0)  # person 2 of pair 1, column 10
    with (tmp_path / "cuhk-03.mat").open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    code, text = check(tmp_path, "--set", "cuhk03")
    assert code == 1 and "cannot be read: 1. Copy them again: cuhk-03.mat/detected/0/9/1: " in text


def test_a_missing_h5py_is_a_problem_with_its_remedy(tmp_path, check, monkeypatch):
    pytest.importorskip("h5py")
    fake.write_cuhk03_mat(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    code, text = check(tmp_path, "--set", "cuhk03")
    assert code == 1 and "pip install h5py" in text


def test_boxes_outside_of_their_scene_are_named(tmp_path, check, monkeypatch):
    monkeypatch.setitem(fake.SYSU, 1, [("s1.jpg", (1, 1, 8, 20)), ("s3.jpg", (51, 5, 10, 25))])
    fake.write_cuhksysu(tmp_path)
    code, text = check(tmp_path, "--set", "cuhksysu")
    assert (
        code == 1
        and "Image/SSM/s3.jpg: nothing of the box (50, 4, 61, 30) lies within 50x40 pixels" in text
    )


def test_persons_in_train_and_test_are_a_leak(tmp_path, check):
    fake.write_market1501(tmp_path)
    (tmp_path / "bounding_box_train" / "0007_c2s3_070952_01.jpg").rename(
        tmp_path / "bounding_box_train" / "0005_c2s3_070952_01.jpg"
    )
    code, text = check(tmp_path, "--set", "market1501")
    assert code == 1
    assert (
        "in train and also in query or gallery: 1 persons, e.g. that of 0005_c2s3_070952_01.jpg"
        in text
    )


def test_query_persons_without_a_match_are_a_problem_beyond_those_by_design(tmp_path, check):
    fake.write_prid(tmp_path)
    assert check(tmp_path, "--set", "prid")[0] == 0  # person 201 of camera a, who is not camera b's
    place = tmp_path / "single_shot" / "cam_b"
    (place / "person_0200.png").rename(place / "person_0202.png")
    code, text = check(tmp_path, "--set", "prid")
    assert code == 1
    assert (
        "in the query and not in the gallery (1 are by design): 2 persons, e.g. that of person_0200.png, person_0201.png"
        in text
    )


def test_queries_that_only_their_own_camera_matches_are_remarked(tmp_path, check):
    fake.write_market1501(tmp_path)
    gallery = tmp_path / "bounding_box_test"
    (gallery / "0005_c1s1_001001_01.jpg").rename(gallery / "0005_c4s1_001001_01.jpg")
    code, text = check(tmp_path, "--set", "market1501")
    assert code == 0
    assert "1 queries have no match from another camera, e.g. 0005_c4s1_000301_00.jpg" in text


def test_a_missing_companion_file_is_remarked_with_what_it_means(tmp_path, check):
    fake.write_grid(tmp_path / "grid")
    meaning = "features_and_partitions.mat is not there: the seeded splits are used, not the published ones"
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


def test_stray_pictures_are_remarked_and_no_problem(tmp_path, check):
    fake.write_viper(tmp_path)
    fake.write_picture(tmp_path / "cam_a" / "000_45 (copy).bmp")
    code, text = check(tmp_path, "--set", "viper")
    assert code == 0 and "left out 1 pictures with another name, e.g. 000_45 (copy).bmp" in text


@pytest.mark.parametrize(
    "arguments", [[], ["cure"], ["check"], ["check", "--data-root", ".", "--set", "imagenet"]]
)
def test_a_call_that_the_command_doesnt_know_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "usage: python -m metabin data" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", SETS)
def test_whatever_happened_to_a_folder_nothing_is_dropped_without_a_count(name, seed, tmp_path):
    """Random damage: afterwards every picture is listed, named as unreadable, counted as left out, or the set has a problem."""
    rng = random.Random(f"{name} {seed}")
    fake.FAKES[name][0](tmp_path)
    pictures = sorted({picture.file for picture in SETS[name].read(tmp_path).pictures})
    hurt, gone = [], []
    for file in rng.sample(pictures, rng.randint(1, len(pictures))):
        kind = rng.choice(["empty", "cut", "a web page", "a link", "delete", "rename", "folder"])
        if kind in ("delete", "rename", "folder"):
            gone.append(file)
            file.rename(
                file.with_name(f"copy of {file.name}")
            ) if kind == "rename" else file.unlink()
            file.mkdir() if kind == "folder" else None
        else:
            hurt.append(file)
            damage(file, kind)
    finding = examine(SETS[name], tmp_path)
    if finding.listing is None:
        assert finding.problems or not [file for file in pictures if file not in gone]
        return
    listed = {picture.file for picture in finding.listing.pictures}
    assert listed == set(pictures) - set(gone)
    named = "\n".join(finding.problems)
    assert all(f"{file.relative_to(finding.listing.root)}: " in named for file in hurt)
    assert not gone or "not a complete copy" in named


@pytest.mark.parametrize("how", ["cut", "zeros", "noise", "another file", "empty"])
@pytest.mark.parametrize(
    "name, write, file",
    [
        ("cuhksysu", fake.write_cuhksysu, "annotation/Person.mat"),
        ("msmt17", fake.write_msmt17, "list_gallery.txt"),
        ("cuhk03", fake.write_cuhk03_mat, "cuhk-03.mat"),
        ("cuhk03", fake.write_cuhk03_extracted, "cuhk03_new_protocol_config_detected.mat"),
    ],
)
def test_a_damaged_file_of_a_set_is_a_problem_that_names_it(
    name, write, file, how, tmp_path, check
):
    pytest.importorskip("h5py")
    fake.write_cuhk03_division(tmp_path)
    write(tmp_path)
    good, rng = (tmp_path / file).read_bytes(), random.Random(how)
    bad = {
        "cut": good[: len(good) * 2 // 3],
        "zeros": bytes(len(good)),
        "noise": good[:200] + rng.randbytes(len(good) - 200)
        if len(good) > 200
        else rng.randbytes(len(good)),
        "another file": b"<html>404 not found</html>",
        "empty": b"",
    }
    (tmp_path / file).write_bytes(bad[how])
    code, text = check(tmp_path, "--set", name)
    assert code == 1 and (file.split("/")[-1] in text or "not a complete copy" in text)
