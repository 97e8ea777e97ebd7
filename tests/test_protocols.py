"""Protocols on trees with as many people as the real small sets, and numbers checked by hand."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from metabin.__main__ import main
from metabin.datasets import SETS, load, protocols
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.protocols import PROTOCOLS, open_protocol, protocol_run
from metabin.datasets.published import PUBLISHED, published
from metabin.datasets.splits import DESIGNS, hold_out
from metabin.evaluate.reports import (
    Candidate,
    choose_checkpoints,
    compare_retrievals,
    evaluate_protocol,
    protocol_report,
    retrieve,
    validate,
)
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.networks.model import build_model
from metabin.runs.checkpoints import save_model

SIZE = (8, 4)  # (H, W)
SOURCES = ["market1501", "cuhk02", "cuhk03", "cuhksysu"]


class Pixels(nn.Module):
    """A retrieval feature without parameters: some of the pixels."""

    def __init__(self, step: int = 1):
        super().__init__()
        self.step = step

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :: self.step]


def write_person(file: Path, person: int, seed: int) -> None:
    """A person's colours under a picture's noise, so that some queries fail."""
    file.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(person).integers(60, 196, (*SIZE, 3))
    noise = np.random.default_rng(seed).normal(0, 60, colours.shape)
    Image.fromarray((colours + noise).clip(0, 255).astype(np.uint8)).save(file)


def small_sets() -> list[tuple[str, int]]:
    """Files of VIPeR, PRID, GRID and i-LIDS, with all their people, and whom each shows."""
    files = [(f"VIPeR/cam_a/{k + k // 3:03d}_45.bmp", k + k // 3) for k in range(632)]
    files += [(f"VIPeR/cam_b/{k + k // 3:03d}_135.bmp", k + k // 3) for k in range(632)]
    for camera, last in (("a", 385), ("b", 749)):
        folder = f"prid2011/single_shot/cam_{camera}"
        files += [(f"{folder}/person_{k:04d}.png", k) for k in range(1, last + 1)]
    for camera, place in ((1, "probe"), (2, "gallery")):
        files += [(f"grid/{place}/{k:04d}_{camera}_2_1_2_3_4.png", k) for k in range(1, 251)]
    files += [(f"grid/gallery/0000_{1 + k % 8}_{k}_1_2_3_4.png", 0) for k in range(775)]
    for k in range(1, 120):
        files += [(f"ilids/Persons/{k:04d}{image:03d}.png", k) for image in range(1, 4 + k % 3)]
    return files


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """All ten sets: the small ones whole, the others in miniature."""
    root = tmp_path_factory.mktemp("sets")
    for seed, (name, person) in enumerate(small_sets()):
        write_person(root / name, person, seed)
    for name, (write, folder) in fake_datasets.FAKES.items():
        if name not in DESIGNS:
            write(root / folder)
    return root


@pytest.fixture(scope="module")
def opened(root) -> protocols.OpenProtocol:
    return open_protocol("no_duke", root, SIZE, cache=root / "cache")


@pytest.fixture(scope="module")
def report(opened) -> dict:
    return evaluate_protocol(Pixels(), opened)


def names_of(listings) -> list[str]:
    return [listing.name for listing in listings]


# what a protocol consists of


def test_the_default_protocol_trains_on_four_sets_and_never_on_duke(opened):
    assert names_of(opened.sources) == SOURCES
    assert list(opened.tests) == ["viper", "prid", "grid", "ilids"] and opened.missing == {}
    train = opened.train
    assert list(train.names) == SOURCES
    assert train.pids.unique().tolist() == list(range(train.num_ids))
    # Market-1501: all parts without junk and distractor; the others as fake_datasets writes them
    assert [int((train.domains == d).sum()) for d in range(4)] == [4 + 2 + 3, 5 * 2 * 4, 7, 4]
    assert [train[train.domains == d].num_ids for d in range(4)] == [4, 10, 3, 2]


def test_every_protocol_names_sets_that_exist_and_no_run_tests_on_what_it_learns():
    for name, runs in PROTOCOLS.items():
        for run in runs:
            assert set(run.sources + run.targets) <= set(SETS)
            if set(run.sources) & set(run.targets):
                assert name == "supervised" and run.parts == ("train",)


def test_the_original_protocol_has_duke_only_on_request(root):
    without = open_protocol("original", root, SIZE)
    assert names_of(without.sources) == SOURCES
    reason = "read only on request (--opt-in dukemtmc): DukeMTMC was withdrawn"
    assert reason in without.missing["dukemtmc"]
    with_duke = open_protocol("original", root, SIZE, opt_in=("dukemtmc",))
    assert set(names_of(with_duke.sources)) == {*SOURCES, "dukemtmc"} and not with_duke.missing


def test_one_set_is_left_out_and_only_training_parts_are_learnt_from(root):
    protocol = open_protocol(protocol_run("leave_one_out", "msmt17"), root, SIZE)
    assert "cuhk03: not divided, all its 3 persons are learnt from" in protocol.remarks
    assert names_of(protocol.sources) == ["market1501", "cuhk03", "cuhksysu"]
    assert protocol.sources[0].ids == {1, 6}
    ((query, gallery),) = protocol.tests["msmt17"].pairs()
    assert len(query) == len(gallery) == 2 and query.camids.tolist() == [0, 14]
    assert query.pids.tolist() == gallery.pids.tolist()


def test_a_target_without_query_and_gallery_is_missing_with_the_reason(root):
    protocol = open_protocol(protocol_run("leave_one_out", "cuhk03"), root, SIZE)
    assert not protocol.tests and "no query and gallery" in protocol.missing["cuhk03"]
    with pytest.raises(ValueError, match="no target to test on.*no query and gallery"):
        evaluate_protocol(Pixels(), protocol)


@pytest.mark.parametrize("target, source", [("dukemtmc", "market1501"), ("market1501", "dukemtmc")])
def test_across_two_sets_cameras_are_the_domains_in_both_directions(root, target, source):
    run = protocol_run("market_duke", target)
    protocol = open_protocol(run, root, SIZE, opt_in=("dukemtmc",))
    assert names_of(protocol.sources) == [source] and list(protocol.tests) == [target]
    cameras = {"market1501": (0, 1, 2, 5), "dukemtmc": (1, 7)}[source]
    assert protocol.train.names == tuple(f"{source} camera {camera}" for camera in cameras)
    assert protocol.train.num_ids == {"market1501": 2, "dukemtmc": 1}[source]


def test_supervised_learns_from_the_training_part_and_is_tested_on_the_rest_of_the_set(root):
    protocol = open_protocol("supervised", root, SIZE)
    assert protocol.sources[0].ids == {1, 6} and protocol.train.num_domains == 4
    ((query, gallery),) = protocol.tests["market1501"].pairs()
    assert query.pids.tolist() == [2, 4] and gallery.pids.tolist() == [-1, 2, 2, 4]


def test_unknown_names_are_answered_with_the_known_ones_and_a_wrong_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="no protocol 'best': choose from original, no_duke"):
        protocol_run("best")
    with pytest.raises(ValueError, match="no target 'viper': choose from market1501, cuhk03, ms"):
        protocol_run("leave_one_out", "viper")
    (tmp_path / "people.csv").touch()
    for name, what in (("nowhere", "is not there"), ("people.csv", "is a file")):
        with pytest.raises(FileNotFoundError, match=f"{name} {what}: give the folder"):
            open_protocol("no_duke", tmp_path / name)


# any subset of what there is


def test_what_is_missing_is_said_in_the_result_and_the_rest_goes_on(root, tmp_path):
    fake_datasets.write_market1501(tmp_path / "Market-1501-v15.09.15")
    (tmp_path / "ilids").symlink_to(root / "ilids")
    protocol = open_protocol("no_duke", tmp_path, SIZE)
    assert set(protocol.missing) == {"cuhk02", "cuhk03", "cuhksysu", "viper", "prid", "grid"}
    assert SETS["viper"].layout in protocol.missing["viper"]
    result = evaluate_protocol(Pixels(), protocol)
    assert result["missing"] == protocol.missing and list(result["targets"]) == ["ilids"]
    assert result["average"]["mAP"]["mean"] == result["targets"]["ilids"]["mAP"]["mean"]
    assert result["sources"] == {"market1501": {"ids": 4, "images": 9}}


def test_without_any_source_there_is_no_training_but_a_test(root, tmp_path):
    (tmp_path / "VIPeR").symlink_to(root / "VIPeR")
    protocol = open_protocol("no_duke", tmp_path, SIZE)
    with pytest.raises(ValueError, match="no source to train on. market1501: not found in"):
        protocol.train  # noqa: B018
    assert evaluate_protocol(Pixels(), protocol)["targets"]["viper"]["splits"] == 10


def test_to_test_a_model_no_source_is_decoded(root, monkeypatch):
    read, decode = set(), load.decode

    def watched(picture, size):
        read.add(picture.file.parent.name)
        return decode(picture, size)

    monkeypatch.setattr(load, "decode", watched)
    list(open_protocol("no_duke", root, SIZE).tests["ilids"].pairs())
    assert read == {"Persons"}


def test_sets_that_are_damaged_or_dont_fit_are_missing_with_the_reason(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    fake_datasets.write_cuhk02(tmp_path / "cuhk02")
    shutil.rmtree(tmp_path / "cuhk02/P5")
    fake_datasets.write_viper(tmp_path / "VIPeR")
    fake_datasets.write_cuhk03_mat(tmp_path / "cuhk03")
    fake_datasets.write_cuhksysu(tmp_path / "cuhksysu")
    fake_datasets.write_msmt17(tmp_path / "msmt17")
    (tmp_path / "msmt17/list_val.txt").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setitem(sys.modules, "h5py", None)
    protocol = open_protocol("no_duke", tmp_path, SIZE)
    assert names_of(protocol.sources) == ["cuhksysu"] and not protocol.tests
    assert "lacks pictures in P5/cam1, P5/cam2" in protocol.missing["cuhk02"]
    assert "viper has 3 persons in query and gallery, not 632" in protocol.missing["viper"]
    assert "pip install h5py" in protocol.missing["cuhk03"]
    protocol = open_protocol("leave_one_out", tmp_path, SIZE)
    assert "cannot read" in protocol.missing["msmt17"]


def test_an_incomplete_source_is_remarked_in_the_protocol_and_its_report(opened, report):
    remark = "cuhk02: not a complete copy: train has 10 of 1,816 persons in 40 of 7,264 pictures"
    assert remark in opened.remarks and report["remarks"] == list(opened.remarks)
    assert not [line for line in opened.remarks if line.startswith("viper")]


# source persons to choose a model by


def source(ids: int = 20) -> Listing:
    """Three cameras, four pictures a person; every fifth person is seen by one camera only."""
    pictures = []
    for pid in range(ids):
        for image in range(4):
            camera = 0 if pid % 5 == 0 else image % 3
            pictures.append(Picture(Path(f"{pid}_{image}.png"), pid, camera, "train"))
    return Listing("shop", Path(), tuple(pictures))


def test_held_out_people_are_in_no_training_picture_and_each_is_found_by_another_camera():
    rest, kept, (query, gallery) = hold_out(source(), 6)
    assert len(kept.ids) == 6 and not rest.ids & kept.ids and rest.ids | kept.ids == source().ids
    assert len(rest) + len(kept) == len(source())
    assert sorted(kept.pictures[row].pid for row in query) == sorted(kept.ids)
    assert sorted([*query, *gallery]) == list(range(len(kept)))
    assert all(pid % 5 for pid in kept.ids)
    assert hold_out(source(), 6)[1:] == (kept, (query, gallery))
    assert hold_out(source(), 3)[1].ids < kept.ids  # fewer are some of the same
    with pytest.raises(ValueError, match="shop: cannot hold out 16 of 16 persons seen by two"):
        hold_out(source(), 16)


def test_held_out_people_validate_a_model(tmp_path, opened):
    for k in range(1, 6):
        for camera in (1, 2):
            name = f"market/bounding_box_train/{k:04d}_c{camera}s1_000000_00.png"
            write_person(tmp_path / name, k, 10 * camera + k)
    protocol = open_protocol("no_duke", tmp_path, SIZE, held_out=2)
    assert any("query has 0 of 750 persons" in line for line in protocol.remarks)
    assert open_protocol("no_duke", tmp_path, SIZE).train.num_ids == 5
    assert protocol.train.num_ids == 3 and len(protocol.train) == 6
    ((query, gallery),) = protocol.validation["market1501"].pairs()
    assert (len(query), len(gallery)) == (2, 2)
    queries, others = (extract_features(Pixels(), images) for images in (query, gallery))
    ranks = []
    for f, pid in zip(queries, query.pids, strict=True):
        scores = others @ f
        ranks.append(1 + int((scores > scores[gallery.pids == pid][0]).sum()))
    assert validate(Pixels(), protocol) == pytest.approx(np.mean([1 / rank for rank in ranks]))
    with pytest.raises(ValueError, match="no identities were held out"):
        validate(Pixels(), opened)


# numbers


def test_the_report_is_what_counting_by_hand_gives(opened, report):
    result, ranks = report["targets"]["viper"], []
    for query, gallery in opened.tests["viper"].pairs():
        a, b = (extract_features(Pixels(), images).double().numpy() for images in (query, gallery))
        match = query.pids.numpy()[:, None] == gallery.pids.numpy()  # one in each row
        scores = a @ b.T
        ranks.append(1 + (scores > scores[match][:, None]).sum(axis=1))
    assert result["splits"] == 10 and result["queries"] == 3160 and result["unmatched_queries"] == 0
    reciprocal = [(1 / r).mean() for r in ranks]  # one match each: mAP = mINP = its mean
    expected = {"mAP": reciprocal, "mINP": reciprocal}
    for k in (1, 5, 10):
        expected[f"rank{k}"] = [(r <= k).mean() for r in ranks]
    for metric, rates in expected.items():
        # features are rounded to 2^-26
        assert result[metric]["mean"] == pytest.approx(np.mean(rates), abs=2e-4)
        assert result[metric]["std"] == pytest.approx(np.std(rates, ddof=1), abs=2e-4)
        assert 0.05 < result[metric]["mean"] < 0.99, "all right or all wrong would show nothing"
        mean = np.mean([report["targets"][name][metric]["mean"] for name in DESIGNS])
        assert report["average"][metric]["mean"] == pytest.approx(mean)


def test_the_report_can_be_written_as_json_and_is_the_same_again(opened, report):
    assert json.loads(json.dumps(report)) == report == evaluate_protocol(Pixels(), opened)
    assert report["protocol"] == "no_duke" and set(report["targets"]) == set(DESIGNS)
    for name in DESIGNS:
        assert report["targets"][name]["split_origin"].startswith("seeded, sha256")


def searched(right: list[int], pids: list[int]):
    """A retrieval whose queries find their only match first, where `right`, or else second."""
    step = 2 * torch.pi / len(pids)
    hit = torch.tensor(right)
    angles = torch.arange(len(pids)) * step
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1)  # (G, 2) on a circle
    # elsewhere the next one on the circle is nearest, and the match is second
    angles = angles[(torch.arange(len(pids)) + 1 - hit) % len(pids)] - 0.3 * step * (1 - hit)
    query = torch.stack([angles.cos(), angles.sin()], dim=1)
    return retrieval(query, gallery, torch.tensor(pids), torch.tensor(pids))


def reported(retrievals) -> dict:
    """The report of retrievals that no protocol has made."""
    tests = {name: SimpleNamespace(origin="by hand", camera_rule=True) for name in retrievals}
    protocol = protocols.OpenProtocol(protocols.ProtocolRun((), ()), SIZE, None, tests=tests)
    return protocol_report(protocol, retrievals)


def width(rate: dict) -> float:
    return rate["high"] - rate["low"]


def of_random_hits(num: int, rate: float, seed: int):
    """A retrieval of so many people, of whom about this share is right; and the exact share."""
    right = (np.random.default_rng(seed).random(num) < rate).astype(int).tolist()
    return searched(right, list(range(num))), np.mean(right)


def test_mean_and_deviation_over_splits_by_hand():
    retrievals = {
        "a": [searched([1, 1, 1, 0], [1, 2, 3, 4]), searched([1, 0, 0, 0], [1, 2, 5, 6])],
        "b": [searched([1, 1, 0, 0], [1, 2, 3, 4])],
    }
    result = reported(retrievals)
    a, b = result["targets"]["a"], result["targets"]["b"]
    assert a["rank1"]["mean"] == pytest.approx(0.5)
    assert a["rank1"]["std"] == pytest.approx(0.5 / 2**0.5) and b["rank1"]["std"] is None
    assert a["mAP"]["mean"] == pytest.approx((3.5 / 4 + 2.5 / 4) / 2)
    assert result["average"]["rank1"]["mean"] == pytest.approx(0.5)


def test_an_interval_draws_a_person_with_all_splits_that_test_it():
    """60 persons are tested five times with one outcome: the spread is that of 60 people."""
    ranked, share = of_random_hits(60, 0.6, 0)
    result = reported({"a": [ranked] * 5})
    half = 1.96 * (share * (1 - share) / 60) ** 0.5
    assert width(result["targets"]["a"]["rank1"]) / 2 == pytest.approx(half, rel=0.1)


def test_the_average_of_two_targets_is_surer_than_either():
    a, b = (of_random_hits(80, 0.5, seed)[0] for seed in range(2))
    result = reported({"a": [a], "b": [b]})
    widths = [width(target["rank1"]) for target in result["targets"].values()]
    expected = (widths[0] ** 2 + widths[1] ** 2) ** 0.5 / 2
    assert width(result["average"]["rank1"]) == pytest.approx(expected, rel=0.1)


def test_two_models_are_compared_query_by_query():
    second = searched([1, 1, 0, 0], [1, 2, 5, 6])
    a = {"t": [searched([1, 1, 1, 0], [1, 2, 3, 4]), second]}
    b = {"t": [searched([1, 1, 0, 0], [1, 2, 3, 4]), second]}
    result = compare_retrievals(a, b, "rank1")
    target = result["targets"]["t"]
    assert target["mean"] == result["average"]["mean"] == pytest.approx(1 / 8)
    assert target["splits"] == 2 and target["splits_ahead"] == 1
    assert target["low"] == 0  # without person 3, a is no better than b
    assert compare_retrievals(a, a)["average"] == {"mean": 0, "low": 0, "high": 0}
    other = {"t": [searched([1, 1, 0, 0], [1, 2, 3, 7]), second]}
    with pytest.raises(ValueError, match="same queries"):
        compare_retrievals(a, other)
    with pytest.raises(ValueError, match="needs the same targets"):
        compare_retrievals(a, {"other": b["t"]})


def test_two_models_on_real_splits_differ_by_the_difference_of_their_reports(opened, report):
    found = []
    for model in (Pixels(), Pixels(3)):
        found.append({name: retrieve(model, test) for name, test in opened.tests.items()})
    reports = [report, protocol_report(opened, found[1])]
    result = compare_retrievals(*found, "rank1")
    for name in DESIGNS:
        means = [r["targets"][name]["rank1"]["mean"] for r in reports]
        assert result["targets"][name]["mean"] == pytest.approx(means[0] - means[1])
    assert result["average"]["low"] > 0  # more pixels are better, and ten splits show it
    alone = [width(r["average"]["rank1"]) for r in reports]
    assert width(result["average"]) < sum(alone)


def test_three_rules_choose_a_checkpoint_and_the_oracle_may_not_be_claimed():
    scores = ((0.5, 0.40), (0.7, 0.45), (0.6, 0.55), (0.65, 0.50))
    rows = choose_checkpoints([Candidate(f"{k}", *score) for k, score in enumerate(scores)])
    assert [row["checkpoint"] for row in rows] == ["3", "1", "2"]
    assert [row["target"] for row in rows] == [0.50, 0.45, 0.55]
    assert [row["may_be_claimed"] for row in rows] == [True, True, False]
    with pytest.raises(ValueError, match="no checkpoint"):
        choose_checkpoints([])


# the command


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An untrained network that says it was trained on all sources but CUHK03."""
    file = tmp_path_factory.mktemp("run") / "model.safetensors"
    config = json.dumps({"size": [32, 16], "algorithm": "joint", "seed": 7})
    domains = json.dumps(["market1501", "cuhk02", "cuhksysu"])
    save_model(file, build_model("bn", 3), "bn", config=config, domains=domains)
    return file


def test_the_command_prints_our_rates_above_the_printed_ones_and_writes_them(
    root, weights, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = f"test --weights {weights} --data-root {root} --protocol original --held-out 1"
    main(f"{words} --json result.json".split())
    result = json.loads(Path("result.json").read_text())
    assert set(result["targets"]) == set(DESIGNS) and result["size"] == [32, 16]
    assert result["notes"]["config"]["seed"] == 7 and result["provenance"]["python"]
    assert result["seconds"] > 0 and 0 < result["validation_mAP"] <= 1
    text = capsys.readouterr().out
    blocks = [*text.split("here, mean over 10 splits")[1:], text.split("average  ")[1]]
    for name, block in zip((*DESIGNS, "average"), blocks, strict=True):
        rates = result["targets"].get(name, result["average"])
        cells = [f"{100 * rates[m]['mean']:.1f}" for m in ("rank1", "rank5", "rank10", "mAP")]
        assert block.splitlines()[0].split()[-4:] == cells
        printed = [row for row in published("original", name) if row.method == "MetaBIN"]
        assert len(printed) == 2
        for row in printed:
            assert f"{row.rank1:.1f}" in block and "Table 1" in block
    assert "without dukemtmc: read only on request" in text
    assert "note: cuhk02: not a complete copy" in text
    assert "weights were trained on market1501, cuhk02, cuhksysu, not on the protocol's" in text


@pytest.mark.parametrize(
    "file, message", [("none", "no weights at none"), ("", "there is no target")]
)
def test_the_command_says_what_it_lacks_in_one_line(weights, file, message, tmp_path, refusal):
    code, line = refusal("test", "--weights", file or weights, "--data-root", tmp_path)
    assert code == 2 and message in line


# printed numbers


def test_the_printed_averages_are_the_means_of_the_four_printed_targets():
    assert len(published("original")) == 10
    for row in published("original"):
        same = [r for r in PUBLISHED if r[:3] == row[:3] and r.target in DESIGNS]
        for metric in ("rank1", "mAP"):
            values, average = [getattr(r, metric) for r in same], getattr(row, metric)
            if average is None:
                assert values == [None] * 4
            else:
                assert len(values) == 4 and abs(np.mean(values) - average) <= 0.0501, row


def test_printed_rows_are_found_by_protocol_and_target():
    best = {row.method: row for row in published("original", "prid") if row.backbone == "ResNet-50"}
    assert best["MetaBIN"][4:8] == (74.2, 89.7, 92.2, 81.0)
    assert best["MetaBIN"].source.endswith("Table 1")
    back = {row.method: row for row in published("market_duke", "market1501")}
    assert back["MetaBIN"][4:8] == (69.2, 83.1, 87.8, 35.9)
    assert back["SNR"][4:8] == (66.7, None, None, 33.9)
    assert [row.method for row in published("no_duke")] == ["MetaBIN", "META", "ACL", "CILP-FGDI"]
    assert {row.protocol for row in PUBLISHED} <= set(PROTOCOLS)
    assert all(row.source for row in PUBLISHED)
