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
from conftest import SMALL_WORDS
from matplotlib import pyplot as plt
from PIL import Image

from metabin.__main__ import main
from metabin.datasets import Listing, Picture, list_own, write_market1501
from metabin.datasets.doctor import same_camera_only
from metabin.datasets.matches import match_queries
from metabin.datasets.protocols import open_protocol
from metabin.evaluate.ranks import rank_lists
from metabin.evaluate.reports import compare_retrievals, retrieve, search, target_features
from metabin.networks.model import build_model
from metabin.plotting.retrieval import draw_rank_lists
from metabin.runs.checkpoints import load_model, save_model
from metabin.runs.flags import parser as train_flags
from metabin.runs.provenance import ROOT
from metabin.runs.report_lines import names_of_weights
from metabin.runs.targets import open_targets
from metabin.runs.test_command import add_differences, parser, training_remarks

SMALL = [*SMALL_WORDS, "--iterations", "2"]


@pytest.fixture
def here(people, tmp_path, monkeypatch) -> Path:
    """A folder with Market-1501 in `sets`, own pictures in `shop`, and others to test in `yard`."""
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
def weights(here) -> str:
    """An untrained network that says it was trained on a set called yard."""
    config = json.dumps({"size": [32, 16], "algorithm": "joint"})
    save_model("bn.safetensors", build_model("bn", 3), "bn", config=config, domains='["yard"]')
    return "bn.safetensors"


@pytest.fixture
def tested(weights, capsys):
    """Test these weights on targets; returns the report and what was printed."""

    def call(*words: str) -> tuple[dict, str]:
        main(["test", "--weights", weights, "--json", "result.json", "--targets", *words])
        return json.loads(Path("result.json").read_text()), capsys.readouterr().out

    return call


@pytest.fixture
def refused(weights, refusal):
    """Test these weights in vain; returns the line that says why."""

    def call(*words: str) -> str:
        code, line = refusal("test", "--weights", weights, *words)
        assert code == 2
        return line

    return call


def opened(words: str):
    """The targets of a test with these words."""
    return open_targets(parser().parse_args(f"--weights x --targets {words}".split()), (32, 16))


def write_table(name: str, rows: list[str], head: str = "path,pid,part") -> str:
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


def test_targets_of_a_training_are_looked_at_before_and_tested_after_it(here, capsys, refusal):
    data = "--data-root sets --sources market1501 shop --run-dir run".split()
    code, line = refusal("train", *data, *SMALL, "--targets", "shop")
    assert code == 2 and "shop: there is no query and gallery to test on" in line
    assert not Path("run").exists()
    main(["train", *data, *SMALL, "--targets", "viper", "yard", "market1501"])
    out, err = capsys.readouterr()
    assert "will be tested without viper: not found in sets" in err
    result = json.loads(Path("run/result.json").read_text())
    assert list(result["targets"]) == ["market1501", "yard"] and "viper" in result["missing"]
    assert "no average over all targets: viper could not be tested" in out
    assert "\naverage " not in out
    assert "market1501: the weights learned from pictures of this name: a test at home" in out


@pytest.mark.parametrize("page", ["README.md", "data/README.md"])
def test_every_flag_of_a_training_or_a_test_on_a_page_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = re.findall(r"-m metabin (train|test) ([^`\n…]+)", text)
    assert {"train", "test"} == {name for name, _ in commands}
    for name, words in commands:
        flags = parser() if name == "test" else train_flags()
        flags.parse_args(shlex.split(words.replace("$method", "bin").partition(" # ")[0]))


def test_the_path_without_a_gpu_is_walked_as_the_page_says_and_goes_on(here, capsys):
    fake_datasets.write_cuhk03_extracted(here / "sets" / "cuhk03")
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8").replace("~/reid", "sets")
    block = page.partition("### Real folders, no GPU")[2].split("```")[1]
    methods = re.search(r"for method in (.+); do", block)[1].split()
    train, test = re.findall(r"-m metabin (.+)", block)
    for said in ("weights for retrieval", "resumed from step 2"):
        for method in methods:
            main([*shlex.split(train.replace("$method", method)), *SMALL])
        printed = "".join(capsys.readouterr())
        assert printed.count(said) == len(methods) == 4
    words, runs = shlex.split(test), sorted(Path("build/runs").glob("home_*/model.safetensors"))
    place = words.index("build/runs/home_*/model.safetensors")
    main([*words[:place], *map(str, runs), *words[place + 1 :]])
    text = capsys.readouterr().out
    assert "Rank-1 in percent, 95 % CI over people" in text and "without viper: " in text
    assert len(re.findall(r"^home_\w+  .*\[.*\]", text, re.MULTILINE)) == 2 * len(methods)
    assert "home_metabin − home_bin" in text and "a test at home" in text


# what can be tested


def test_folders_tables_and_sets_are_one_table_and_each_is_what_it_is_alone(tested):
    rows = []
    for file in pictures_of("yard/query", "yard/bounding_box_test"):
        part = "query" if file.parent.name == "query" else "gallery"
        rows.append(f"{file},p{file.name[:4]},{file.name[6]},yard,{part}")
    table = write_table("people.csv", rows, "path,pid,camid,domain,part")
    together, text = tested("yard", "market1501", table, "--data-root", "sets")
    assert list(together["targets"]) == ["market1501", "yard", "yard (people.csv)"]
    alone, _ = tested(table)
    assert together["targets"]["yard"]["mAP"]["mean"] == alone["targets"]["yard"]["mAP"]["mean"]
    values = [rates["rank1"]["mean"] for rates in together["targets"].values()]
    assert together["average"]["rank1"]["mean"] == pytest.approx(np.mean(values))
    assert text.count("here, mean") == 4 and "average  " in text


def test_pictures_of_any_size_are_tested_at_any_size_and_a_size_that_is_not_known_is_told(
    tested, capsys
):
    for number, file in enumerate(pictures_of("yard/query")):
        with Image.open(file) as image:
            image.resize((3 + 40 * number, 500 - 30 * number)).save(file)
    result, text = tested("yard", "--size", "100", "37")
    assert result["size"] == [100, 37] and result["targets"]["yard"]["queries"] == 16
    assert "how large" not in text
    committed = str(ROOT / "data" / "checkpoints" / "bn.safetensors")
    words = ["test", "--weights", committed, "--targets", "yard"]
    main(words)
    text = capsys.readouterr().out
    assert "bn, streetnet" in text and "their pictures are: tested at 256 x 128; --size" in text
    main([*words, "--size", "32", "16"])
    assert "how large" not in capsys.readouterr().out


def test_weights_that_cannot_be_compared_with_the_first_are_remarked():
    reports = [{"weights": "a"}, {"weights": "b", "remarks": []}]
    add_differences(reports, [{"yard": []}, {"shop": []}])
    [remark] = reports[1]["remarks"]
    assert remark.startswith("b: no difference from the first: a comparison needs the same targets")
    assert "minus_first" not in reports[1]


def test_several_weights_are_rows_of_one_table_with_differences_from_the_first(here, capsys):
    for name in ("bn", "in"):
        Path(name).mkdir()
        model = build_model(name, 3)
        save_model(f"{name}/model.safetensors", model, name, config='{"size": [32, 16]}')
    words = "--weights bn/model.safetensors in/model.safetensors --targets yard --json both.json"
    main(["test", *words.split()])
    _, table = capsys.readouterr().out.split("mAP in percent, 95 % CI over people\n")
    first, second = json.loads(Path("both.json").read_text())["reports"]
    target, ranked = opened("yard").tests["yard"], []
    for name in ("in", "bn"):
        model, _ = load_model(f"{name}/model.safetensors")
        ranked.append({"yard": retrieve(model, target)})
    difference = compare_retrievals(*ranked)
    assert second["minus_first"]["mAP"] == difference and "minus_first" not in first
    rates = [report["targets"]["yard"]["mAP"] for report in (first, second)]
    rows = [("bn", rates[0], ""), ("in", rates[1], ""), ("in − bn", difference["average"], "+")]
    for line, (label, rate, sign) in zip(table.splitlines()[1:], rows, strict=False):
        mean, low, high = (f"{100 * rate[kind]:{sign}.1f}" for kind in ("mean", "low", "high"))
        assert line.split() == [*label.split(), mean, f"[{low},", f"{high}]"]
    main("test --weights in/model.safetensors --targets yard --json one.json".split())
    assert json.loads(Path("one.json").read_text())["targets"] == second["targets"]
    assert first["targets"] != second["targets"]


def test_several_weights_are_called_by_what_differs():
    for words, names in (
        ("a/model.st b/model.st", ["a", "b"]),
        ("a/bn.st a/in.st", ["bn", "in"]),
        ("a/bn.st a/in.st b/in.st", ["a/bn.st", "a/in.st", "b/in.st"]),
    ):
        assert names_of_weights([Path(word) for word in words.split()]) == names


WRONG = {
    "--targets yrd": "yrd: no such file, and no set of",
    "--targets viper": "--targets viper needs one --data-root",
    "": "protocol no_duke needs one --data-root",
    "--targets yard --held-out 2": "it needs --protocol",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_does_not_fit_is_said_in_one_line(words, refused):
    assert WRONG[words] in refused(*words.split())


# the camera rule


@pytest.fixture
def one_camera(here) -> str:
    """The yard as a table without cameras; a query's next picture is in the gallery."""
    rows = []
    for number, file in enumerate(pictures_of("yard/query")):
        rows.append(f"{file},{file.name[:4]},{('query', 'gallery')[number % 2]}")
    return write_table("one.csv", rows)


CAMERAS = {
    "path,pid,part": "no picture tells its camera, so all count as one",
    "path,pid,part,camid": "all pictures are from one camera",
}


@pytest.mark.parametrize("head", CAMERAS)
def test_with_one_camera_or_unknown_ones_the_message_says_what_the_rule_does(
    head, one_camera, refused
):
    rows = Path(one_camera).read_text().splitlines()[1:]
    write_table(one_camera, [row + ",7" * ("camid" in head) for row in rows], head)
    line = refused("--targets", one_camera)
    assert f"no target to test on. one: {CAMERAS[head]}. The camera rule leaves out" in line
    assert "from the next moment, and here it leaves none" in line
    assert "--no-camera-rule" in line


def test_people_whom_no_two_cameras_saw_are_named_as_the_cause(refused):
    for file in pictures_of("yard/query", "yard/bounding_box_test"):
        person = int(file.name[:4])
        file.rename(file.with_name(f"{person:04d}_c{person}_{file.stem[-9:-3]}.jpg"))
    line = refused("--targets", "yard")
    assert "no person was seen by two cameras" in line and "--no-camera-rule" in line


def test_without_the_rule_ones_own_pictures_are_tested_and_the_result_says_so(tested, one_camera):
    result, text = tested(one_camera, "market1501", "--data-root", "sets", "--no-camera-rule")
    assert result["targets"]["one"]["camera_rule"] is False
    assert result["targets"]["market1501"]["camera_rule"] is True
    assert result["targets"]["one"]["queries"] == 8
    assert "note: one: tested without the camera rule, pictures from a query's own camera" in text
    assert "not to be compared with results under the rule" in " ".join(result["remarks"])


def test_without_the_rule_no_query_finds_its_own_copy(tested, one_camera, refused):
    before, _ = tested(one_camera, "--no-camera-rule")
    rows = Path(one_camera).read_text().splitlines()[1:]
    for row in rows[::4]:  # every second query
        path, pid, _ = row.split(",")
        copy = Path(path).stem + " again.jpg"
        shutil.copy(path, copy)
        rows.append(f"{copy},{pid},gallery")
    write_table(one_camera, rows)
    after, text = tested(one_camera, "--no-camera-rule")
    assert "one: 4 queries lie in the gallery too, pixel by pixel" in text
    (lists,) = after["rank_lists"].values()
    for ranked in lists:
        assert all(row["cosine"] < 0.99999 for row in ranked["nearest"])
    assert after["targets"]["one"]["queries"] == before["targets"]["one"]["queries"]
    copies = [row for row in rows if "again" in row or row.endswith(",query")]
    write_table(one_camera, copies)
    message = "no picture of a query's person but the query's own copy"
    assert message in refused("--no-camera-rule", "--targets", one_camera)
    result, text = tested("yard", one_camera, "--no-camera-rule")  # the other target is tested
    assert list(result["targets"]) == ["yard"] and message in result["missing"]["one"]


def test_the_same_pictures_under_the_rule_and_without_it_are_told_apart_by_hand(here):
    listing = list_own("yard")[0]
    with_rule = opened("yard").tests["yard"].images
    without = opened("yard --no-camera-rule").tests["yard"].images
    assert with_rule.camids.tolist() == [picture.camid for picture in listing.pictures]
    assert sorted(without.camids.tolist()) == list(range(32))  # no two pictures are equal


# people without a match


def test_people_without_a_match_are_counted_and_told(tested):
    for file in pictures_of("yard/query", "yard/bounding_box_test"):
        in_gallery = file.parent.name != "query"
        if file.name.startswith("0010_c2") or in_gallery and file.name.startswith("0009"):
            file.unlink()
    result, text = tested("yard")
    assert "1 of 8 people of the query have no picture in the gallery: 2 queries less" in text
    assert "1 of 8 people of the query have a match from their own camera alone" in text
    assert result["targets"]["yard"]["unmatched_queries"] == 3
    assert result["targets"]["yard"]["queries"] == 12


def test_query_and_gallery_of_different_people_and_one_person_alone_are_other_causes(
    refused, tested
):
    for file in pictures_of("yard/query"):
        file.rename(file.with_name(f"9{file.name}"))
    assert "query and gallery have no person in common" in refused("--targets", "yard")
    for file in pictures_of("yard/query")[2:]:
        file.unlink()
    for file in pictures_of("yard/query"):
        file.rename(file.with_name(file.name[1:]))
    assert "one person alone of the query has a match" in refused("--targets", "yard")
    result, text = tested("yard", "market1501", "--data-root", "sets")
    assert list(result["targets"]) == ["market1501"]
    assert "without yard: one person alone" in text and "yard could not be tested" in text


def test_queries_are_sorted_by_what_the_gallery_has_of_their_person():
    rows = [("query", 0, 0), ("query", 1, 0), ("query", 2, 0), ("query", 3, 0)]
    rows += [("gallery", 0, 0), ("gallery", 0, 1), ("gallery", 1, 0), ("train", 2, 1)]
    pictures = []
    for number, (part, pid, camid) in enumerate(rows):
        pictures.append(Picture(Path(f"{number}.jpg"), pid, camid, part))
    listing = Listing("mine", Path(), tuple(pictures))
    kinds = match_queries(listing)
    assert [kind[0].pid for kind in kinds] == [0, 1, 2]
    assert list(map(len, kinds)) == [1, 1, 2] and kinds.alone[1].pid == 3
    assert same_camera_only(listing) == ["1 queries have no match from another camera, e.g. 1.jpg"]


def test_weights_say_whether_a_target_is_home(here):
    protocol = opened("yard")
    assert training_remarks(["shop"], protocol) == []
    assert "yard: the weights learned from" in training_remarks(["yard camera 3"], protocol)[0]
    assert "don't say" in training_remarks(None, protocol)[0]


# rank lists


def test_kept_rank_lists_are_those_of_a_loop_under_the_camera_rule(here):
    target, model = opened("yard").tests["yard"], build_model("in", 3)
    images, features = target.images, target_features(model, target)
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


def test_rank_lists_of_a_result_become_a_picture_for_each_target(
    tested, capsys, monkeypatch, refusal
):
    tested("yard", "market1501", "--data-root", "sets")
    drawn = []

    def draw(lists):
        drawn.append(lists)
        return draw_rank_lists(lists)

    monkeypatch.setattr("metabin.plotting.rank_lists.draw_rank_lists", draw)
    main("figures --rank-lists result.json".split())
    files = capsys.readouterr().out.split()
    assert files == ["result_market1501.png", "result_yard.png"]
    assert all(plt.imread(file).std() > 0.05 for file in files)
    query, images, right, captions = next(iter(drawn[1].values()))
    assert images.shape == (8, 3, 96, 48) and len(right) == 8 and len(captions) == 9
    Path("other.json").write_text("{}")
    code, line = refusal("figures", "--rank-lists", "other.json")
    assert code == 2 and "holds no rank lists" in line


def test_a_set_of_ones_own_keeps_its_name_beside_an_official_one(here):
    shutil.copytree("yard", "grid")
    assert list(opened("./grid yard").tests) == ["grid (grid)", "yard"]
    assert open_protocol("no_duke", "sets").run.targets == ("viper", "prid", "grid", "ilids")
