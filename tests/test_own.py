"""People's own pictures: trained on beside data sets and tested, by commands and without an edit."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import fake_datasets
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from metabin.__main__ import main
from metabin.datasets import Listing, Picture, list_own, write_market1501
from metabin.datasets.doctor import same_camera_only
from metabin.datasets.matches import match_queries
from metabin.datasets.protocols import open_protocol
from metabin.evaluate.ranks import rank_lists
from metabin.evaluate.reports import search, target_features
from metabin.networks.model import build_model
from metabin.plotting.retrieval import draw_rank_lists
from metabin.runs.checkpoints import save_model
from metabin.runs.flags import parser as train_flags
from metabin.runs.provenance import ROOT
from metabin.runs.targets import open_targets
from metabin.runs.test_command import parser, training_remarks

SMALL = "--size 32 16 --ids-per-domain 2 --images-per-id 2 --crop-pad 1 --iterations 2".split()


@pytest.fixture
def here(people, tmp_path, monkeypatch) -> Path:
    """A folder with Market-1501 in `sets`, own pictures in `shop`, and others to test on in `yard`."""
    monkeypatch.chdir(tmp_path)
    fake_datasets.write_market1501(tmp_path / "sets" / "Market-1501")
    write_market1501(people[people.domains == 0], "shop")
    yard, first = people[people.domains == 1], torch.arange(32) % 4 < 2
    noise = 120 * torch.randn(yard.images.shape, generator=torch.Generator().manual_seed(0))
    yard = replace(yard, images=(yard.images + noise).clamp(0, 255).to(torch.uint8))
    write_market1501(yard[first], "yard", "query")
    write_market1501(yard[~first], "yard", "gallery")
    return tmp_path


@pytest.fixture
def weights(tmp_path) -> Path:
    """An untrained network that says it was trained on a set called yard."""
    config = json.dumps({"size": [32, 16], "algorithm": "joint"})
    save_model("bn.safetensors", build_model("bn", 3), "bn", config=config, domains='["yard"]')
    return Path("bn.safetensors")


@pytest.fixture
def test(here, weights, capsys):
    """Call the command on targets; returns its report and what it printed."""

    def call(*words: str) -> tuple[dict, str]:
        main(["test", "--weights", str(weights), "--json", "result.json", "--targets", *words])
        return json.loads(Path("result.json").read_text()), capsys.readouterr().out

    return call


def refused(words: list[str], capsys) -> str:
    """The last line of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def write_table(name: str, rows: list[str], head: str = "path,pid,camid,domain,part") -> str:
    Path(name).write_text("\n".join([head, *rows]))
    return name


def pictures_of(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted(Path(folder).iterdir())]


# two commands


def test_market_and_ones_own_folder_are_trained_on_and_a_third_is_tested_by_two_commands(
    here, capsys
):
    data = "--data-root sets --sources market1501 shop".split()
    main(["train", *data, "--run-dir", "run", *SMALL])
    assert "shop: 8 people, 32 pictures, 2 cameras" in capsys.readouterr().err
    main("test --weights run/model.safetensors --targets yard --json run/result.json".split())
    text = capsys.readouterr().out
    result = json.loads(Path("run/result.json").read_text())
    assert result["notes"]["domains"] == ["market1501", "shop"]
    assert "trained on market1501, shop" in text and re.search(r"yard +here, mean", text)
    target = result["targets"]["yard"]
    assert target["queries"] == 16 and target["unmatched_queries"] == 0 and target["camera_rule"]
    assert result["data"]["yard"]["people"] == 8 and len(result["weights_sha256"]) == 64
    assert set(result["data"]["yard"]["digests"]) == {"labels", "pixels"}
    assert result["provenance"]["versions"]["torch"]


def test_targets_of_a_training_are_looked_at_before_and_tested_after_it(here, capsys):
    data = "--data-root sets --sources market1501 shop --run-dir run".split()
    line = refused(["train", *data, *SMALL, "--targets", "shop"], capsys)
    assert "shop has no query and gallery to test on" in line and not Path("run").exists()
    main(["train", *data, *SMALL, "--targets", "viper", "yard", "market1501"])
    out, err = capsys.readouterr()
    assert "will be tested without viper: not found in sets" in err
    result = json.loads(Path("run/result.json").read_text())
    assert list(result["targets"]) == ["market1501", "yard"] and "viper" in result["missing"]
    assert "no average over all targets: viper could not be tested" in out
    assert "market1501: the weights learned from pictures of this name: a test at home" in out


PAGES = ("README.md", "data/README.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_of_a_training_or_a_test_on_a_page_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = re.findall(r"-m metabin (train|test) ([^`\n…]+)", text)
    assert {"train", "test"} == {name for name, _ in commands}
    for name, words in commands:
        flags = parser() if name == "test" else train_flags()
        flags.parse_args(shlex.split(words.replace("$method", "bin").partition(" # ")[0]))


# what can be tested


def test_folders_tables_and_sets_are_one_table_and_each_is_what_it_is_alone(test):
    files = pictures_of("yard/query", "yard/bounding_box_test")
    rows = []
    for file in files:
        part = "query" if file.parent.name == "query" else "gallery"
        rows.append(f"{file},p{file.name[:4]},{file.name[6]},yard,{part}")
    table = write_table("people.csv", rows)
    together, text = test("yard", "market1501", table, "--data-root", "sets")
    assert list(together["targets"]) == ["market1501", "yard", "yard (people.csv)"]
    alone, _ = test(table)
    assert together["targets"]["yard"]["mAP"]["mean"] == alone["targets"]["yard"]["mAP"]["mean"]
    values = [rates["rank1"]["mean"] for rates in together["targets"].values()]
    assert together["average"]["rank1"]["mean"] == pytest.approx(np.mean(values))
    assert text.count("here, mean") == 4 and "average  " in text


def test_pictures_of_any_size_are_tested_at_any_size(test):
    for number, file in enumerate(pictures_of("yard/query")):
        with Image.open(file) as image:
            image.resize((3 + 40 * number, 500 - 30 * number)).save(file)
    result, _ = test("yard", "--size", "100", "37")
    assert result["size"] == [100, 37] and result["targets"]["yard"]["queries"] == 16


def test_several_weights_are_rows_of_one_table(here, weights, capsys):
    for name in ("bn", "in"):
        Path(name).mkdir()
        save_model(
            f"{name}/model.safetensors", build_model(name, 3), name, config='{"size": [32, 16]}'
        )
    words = "--weights bn/model.safetensors in/model.safetensors --targets yard --json both.json"
    main(["test", *words.split()])
    text = capsys.readouterr().out
    first, second = json.loads(Path("both.json").read_text())["reports"]
    assert first["notes"]["norm"] == "bn" and second["notes"]["norm"] == "in"
    _, table = text.split("mAP in percent, 95 % CI over people\n")
    for report, line in zip((first, second), table.splitlines()[1:], strict=False):
        rates = report["targets"]["yard"]["mAP"]
        mean, low, high = (100 * rates[kind] for kind in ("mean", "low", "high"))
        cell = f"{mean:.1f} [{low:.1f}, {high:.1f}]"
        assert line.split(None, 1) == [report["notes"]["norm"], cell]
    main("test --weights in/model.safetensors --targets yard --json one.json".split())
    assert json.loads(Path("one.json").read_text())["targets"] == second["targets"]
    assert first["targets"] != second["targets"]


def test_what_does_not_fit_is_said_in_one_line(here, weights, capsys):
    words = ["test", "--weights", str(weights)]
    assert "yrd: no such file, and no set of" in refused([*words, "--targets", "yrd"], capsys)
    line = refused([*words, "--targets", "viper"], capsys)
    assert "--targets viper needs --data-root" in line
    assert "protocol no_duke needs --data-root" in refused(words, capsys)
    line = refused([*words, "--targets", "yard", "--held-out", "2"], capsys)
    assert "it needs --protocol" in line


# the camera rule


@pytest.fixture
def one_camera(here) -> str:
    """The yard as a table without cameras; a query's next picture is in the gallery."""
    rows = []
    for number, file in enumerate(pictures_of("yard/query")):
        rows.append(f"{file},{file.name[:4]},{('query', 'gallery')[number % 2]}")
    return write_table("one.csv", rows, "path,pid,part")


CAMERAS = {
    "path,pid,part": "no picture tells its camera, so all count as one",
    "path,pid,part,camid": "all pictures are from one camera",
}


@pytest.mark.parametrize("head", CAMERAS)
def test_with_one_camera_or_unknown_ones_the_message_says_what_the_rule_does(
    head, here, one_camera, weights, capsys
):
    rows = Path(one_camera).read_text().splitlines()[1:]
    write_table(one_camera, [row + ",7" * ("camid" in head) for row in rows], head)
    line = refused(["test", "--weights", str(weights), "--targets", one_camera], capsys)
    assert CAMERAS[head] in line and "from the next moment, and here it leaves none" in line
    assert "--no-camera-rule" in line


def test_people_whom_no_two_cameras_saw_are_named_as_the_cause(here, weights, capsys):
    for file in pictures_of("yard/query", "yard/bounding_box_test"):
        person = int(file.name[:4])
        file.rename(file.with_name(f"{person:04d}_c{person}_{file.stem[-9:-3]}.jpg"))
    line = refused(["test", "--weights", str(weights), "--targets", "yard"], capsys)
    assert "no person was seen by two cameras" in line and "--no-camera-rule" in line


def test_without_the_rule_ones_own_pictures_are_tested_and_the_result_says_so(test, one_camera):
    result, text = test(one_camera, "market1501", "--data-root", "sets", "--no-camera-rule")
    assert result["targets"]["one"]["camera_rule"] is False
    assert result["targets"]["market1501"]["camera_rule"] is True
    assert result["targets"]["one"]["queries"] == 8
    assert "note: one: tested without the camera rule, pictures from a query's own camera" in text
    assert "not to be compared with results under the rule" in " ".join(result["remarks"])


def test_without_the_rule_no_query_finds_its_own_copy(test, one_camera, capsys):
    before, _ = test(one_camera, "--no-camera-rule")
    rows = Path(one_camera).read_text().splitlines()[1:]
    for row in rows[::4]:  # every second query
        path = row.split(",")[0]
        shutil.copy(path, Path(path).stem + " again.jpg")
        rows.append(f"{Path(path).stem} again.jpg,{row.split(',')[1]},gallery")
    write_table(one_camera, rows, "path,pid,part")
    after, text = test(one_camera, "--no-camera-rule")
    assert "one: 4 queries lie in the gallery too, pixel by pixel" in text
    (lists,) = after["rank_lists"].values()
    assert all(row["cosine"] < 0.99999 for ranked in lists for row in ranked["nearest"])
    assert after["targets"]["one"]["queries"] == before["targets"]["one"]["queries"]
    rows = [row for row in rows if "again" in row or row.endswith(",query")]
    write_table(one_camera, rows, "path,pid,part")
    words = f"test --weights bn.safetensors --no-camera-rule --targets {one_camera}".split()
    assert "no picture of a query's person but the query's own copy" in refused(words, capsys)


def test_the_same_pictures_under_the_rule_and_without_it_are_told_apart_by_hand(here):
    listing = list_own("yard")[0]
    rule = parser().parse_args("--weights x --targets yard".split())
    free = parser().parse_args("--weights x --targets yard --no-camera-rule".split())
    with_rule = open_targets(rule, (32, 16)).tests["yard"].images
    without = open_targets(free, (32, 16)).tests["yard"].images
    assert with_rule.camids.tolist() == [picture.camid for picture in listing.pictures]
    assert sorted(without.camids.tolist()) == list(range(32))  # no two pictures are equal


# people without a match


def test_people_without_a_match_are_counted_and_told(test):
    for file in pictures_of("yard/bounding_box_test"):
        if file.name.startswith("0009"):
            file.unlink()
        elif file.name.startswith("0010_c2"):
            file.unlink()
    for file in pictures_of("yard/query"):
        if file.name.startswith("0010_c2"):
            file.unlink()
    result, text = test("yard")
    assert "1 of 8 people of the query have no picture in the gallery: 2 queries less" in text
    assert "1 of 8 people of the query have a match from their own camera alone" in text
    assert result["targets"]["yard"]["unmatched_queries"] == 3
    assert result["targets"]["yard"]["queries"] == 12


def test_query_and_gallery_of_different_people_are_another_cause(here, weights, capsys):
    for file in pictures_of("yard/query"):
        file.rename(file.with_name(f"9{file.name}"))
    words = ["test", "--weights", str(weights), "--targets", "yard"]
    assert "query and gallery have no person in common" in refused(words, capsys)
    for file in pictures_of("yard/query")[2:]:
        file.unlink()
    for file in pictures_of("yard/query"):
        file.rename(file.with_name(file.name[1:]))
    assert "one person alone of the query has a match" in refused(words, capsys)


def test_queries_are_sorted_by_what_the_gallery_has_of_their_person():
    rows = [("query", 0, 0), ("query", 1, 0), ("query", 2, 0), ("query", 3, 0)]
    rows += [("gallery", 0, 0), ("gallery", 0, 1), ("gallery", 1, 0), ("train", 2, 1)]
    pictures = tuple(
        Picture(Path(f"{k}.jpg"), row[1], row[2], row[0]) for k, row in enumerate(rows)
    )
    listing = Listing("mine", Path(), pictures)
    matches = match_queries(listing)
    assert [[p.pid for p in kind] for kind in matches] == [[0], [1], [2, 3]]
    assert same_camera_only(listing) == ["1 queries have no match from another camera, e.g. 1.jpg"]


def test_weights_say_whether_a_target_is_home(here):
    options = parser().parse_args("--weights x --targets yard".split())
    protocol = open_targets(options, (32, 16))
    assert training_remarks(["shop"], protocol) == []
    assert "yard: the weights learned from" in training_remarks(["yard camera 3"], protocol)[0]
    assert "don't say" in training_remarks(None, protocol)[0]


# rank lists


def test_kept_rank_lists_are_those_of_a_loop_under_the_camera_rule(here):
    options = parser().parse_args("--weights x --targets yard".split())
    target = open_targets(options, (32, 16)).tests["yard"]
    model, images = build_model("in", 3), target.images
    features = target_features(model, target)
    (result,) = search(features, target)
    lists = rank_lists(features, target, result)
    precisions = [ranked["average_precision"] for ranked in lists]
    assert len(lists) == 6 and precisions == sorted(precisions)
    assert precisions[-1] == pytest.approx(result.ap.max().item(), abs=1e-4)
    places = {str(picture.file): row for row, picture in enumerate(target.listing.pictures)}
    for ranked in lists:
        query = places[ranked["query"]["file"]]
        scores = {}
        for row in target.splits[0].gallery:
            same = images.pids[row] == images.pids[query]
            if not (same and images.camids[row] == images.camids[query]):
                scores[row] = (features[row] @ features[query]).item()
        expected = sorted(scores, key=scores.get, reverse=True)[:8]
        assert [places[row["file"]] for row in ranked["nearest"]] == expected
        hits = [bool(images.pids[row] == images.pids[query]) for row in expected]
        assert [row["right"] for row in ranked["nearest"]] == hits


def test_rank_lists_of_a_result_become_a_picture_for_each_target(test, capsys, monkeypatch):
    test("yard", "market1501", "--data-root", "sets")
    drawn = []
    monkeypatch.setattr(
        "metabin.plotting.rank_lists.draw_rank_lists",
        lambda lists: drawn.append(lists) or draw_rank_lists(lists),
    )
    main("figures --rank-lists result.json".split())
    files = capsys.readouterr().out.split()
    assert files == ["result_market1501.png", "result_yard.png"]
    assert all(plt.imread(file).std() > 0.05 for file in files)
    query, images, right, captions = next(iter(drawn[1].values()))
    assert images.shape == (8, 3, 96, 48) and len(right) == 8 and len(captions) == 9
    Path("other.json").write_text("{}")
    assert "holds no rank lists" in refused("figures --rank-lists other.json".split(), capsys)


def test_a_set_of_ones_own_keeps_its_name_beside_an_official_one(here):
    shutil.copytree("yard", "grid")
    options = parser().parse_args("--weights x --targets ./grid yard".split())
    assert list(open_targets(options, (32, 16)).tests) == ["grid (grid)", "yard"]
    assert open_protocol("no_duke", "sets").run.targets == ("viper", "prid", "grid", "ilids")
