"""Protocols on trees with as many people as the real small sets have, and numbers that can be checked by hand."""

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

from metabin.data.images import ImageSet
from metabin.datasets import load, protocols
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.protocols import PROTOCOLS, by_camera, choose, hold_out, open_protocol
from metabin.datasets.published import PUBLISHED, published
from metabin.datasets.splits import DESIGNS
from metabin.evaluate.protocols import (
    METRICS,
    Candidate,
    compare,
    evaluate_protocol,
    over_seeds,
    report,
    retrieve,
    select,
    validate,
)
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.networks.model import build_model
from metabin.runs.checkpoints import save_model
from metabin.runs.test_command import main

SIZE = (8, 4)  # (H, W)
SOURCES = {"market1501", "cuhk02", "cuhk03", "cuhksysu"}


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


def write_small_sets(root: Path) -> None:
    """VIPeR, PRID, GRID and i-LIDS with all their people."""
    names = [f"VIPeR/cam_a/{k + k // 3:03d}_45.bmp" for k in range(632)]
    names += [name.replace("cam_a", "cam_b").replace("_45", "_135") for name in names]
    names += [f"prid2011/single_shot/cam_a/person_{k:04d}.png" for k in range(1, 386)]
    names += [f"prid2011/single_shot/cam_b/person_{k:04d}.png" for k in range(1, 750)]
    names += [f"grid/probe/{k:04d}_1_25004_1_2_3_4.png" for k in range(1, 251)]
    names += [f"grid/gallery/{k:04d}_2_25004_1_2_3_4.png" for k in range(1, 251)]
    names += [f"grid/gallery/0000_{1 + k % 8}_{k}_1_2_3_4.png" for k in range(775)]
    names += [
        f"ilids/Persons/{k:04d}{image:03d}.png"
        for k in range(1, 120)
        for image in range(1, 4 + k % 3)
    ]
    for seed, name in enumerate(names):
        file = root / name
        write_person(
            file,
            int(file.stem[:4])
            if "ilids" in name
            else int(file.stem.split("_")[name.count("person_")]),
            seed,
        )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """All ten sets: the small ones whole, the others in miniature."""
    root = tmp_path_factory.mktemp("sets")
    write_small_sets(root)
    for name, (write, folder) in fake_datasets.FAKES.items():
        if name not in DESIGNS:
            write(root / folder)
    return root


@pytest.fixture(scope="module")
def opened(root) -> protocols.Experiment:
    return open_protocol("no_duke", root, SIZE, cache=root / "cache")


# what a protocol consists of


def test_the_default_protocol_trains_on_four_sets_and_never_on_duke(opened):
    assert [listing.name for listing in opened.sources] == [
        "market1501",
        "cuhk02",
        "cuhk03",
        "cuhksysu",
    ]
    assert list(opened.tests) == ["viper", "prid", "grid", "ilids"] and opened.missing == {}
    train = opened.train
    assert train.names == ("market1501", "cuhk02", "cuhk03", "cuhksysu")
    assert train.pids.unique().tolist() == list(range(train.num_ids))
    # Market-1501: all parts without junk and distractor; the others as fake_datasets writes them
    assert [int((train.domains == d).sum()) for d in range(4)] == [4 + 2 + 3, 5 * 2 * 4, 7, 4]
    assert [train[train.domains == d].num_ids for d in range(4)] == [4, 10, 3, 2]


def test_every_protocol_names_sets_that_exist_and_no_run_tests_on_what_it_learns():
    for name, runs in PROTOCOLS.items():
        for run in runs:
            assert set(run.sources + run.targets) <= set(protocols.SETS)
            assert name == "supervised" or not set(run.sources) & set(run.targets)
            if set(run.sources) & set(run.targets):
                assert run.parts == ("train",)


def test_the_original_protocol_has_duke_only_on_request(root):
    without, with_duke = (
        open_protocol("original", root, SIZE, opt_in=names) for names in ((), ("dukemtmc",))
    )
    assert {listing.name for listing in without.sources} == SOURCES
    assert (
        "on request" in without.missing["dukemtmc"] and "withdrawn" in without.missing["dukemtmc"]
    )
    assert {listing.name for listing in with_duke.sources} == SOURCES | {
        "dukemtmc"
    } and not with_duke.missing


def test_one_set_is_left_out_and_only_training_parts_are_learnt_from(root):
    experiment = open_protocol("leave_one_out", root, SIZE, target="msmt17")
    assert "cuhk03: not divided, all its 3 identities are learnt from" in experiment.remarks
    assert {listing.name: listing.ids for listing in experiment.sources}["market1501"] == {1, 6}
    assert {listing.name for listing in experiment.sources} == {"market1501", "cuhk03", "cuhksysu"}
    (split,) = experiment.tests["msmt17"].splits
    assert [len(rows) for rows in split] == [2, 2]
    (query, gallery), *more = experiment.tests["msmt17"].pairs()
    assert (
        not more
        and query.pids.tolist() == gallery.pids.tolist()
        and query.camids.tolist() == [0, 14]
    )


def test_a_target_without_query_and_gallery_is_missing_with_the_reason(root):
    experiment = open_protocol("leave_one_out", root, SIZE, target="cuhk03")
    assert not experiment.tests and "no query and gallery" in experiment.missing["cuhk03"]
    with pytest.raises(ValueError, match="no target to test on.*no query and gallery"):
        evaluate_protocol(Pixels(), experiment)


@pytest.mark.parametrize("target, source", [("dukemtmc", "market1501"), ("market1501", "dukemtmc")])
def test_across_two_sets_cameras_are_the_domains_in_both_directions(root, target, source):
    experiment = open_protocol("market_duke", root, SIZE, target=target, opt_in=("dukemtmc",))
    assert [listing.name for listing in experiment.sources] == [source] and list(
        experiment.tests
    ) == [target]
    cameras = {"market1501": (1, 2, 3, 6), "dukemtmc": (2, 8)}[source]
    assert experiment.train.names == tuple(f"{source} camera {camera}" for camera in cameras)
    assert experiment.train.num_ids == {"market1501": 2, "dukemtmc": 1}[source]


def test_supervised_learns_from_the_training_part_and_is_tested_on_the_rest_of_the_set(root):
    experiment = open_protocol("supervised", root, SIZE)
    assert experiment.sources[0].ids == {1, 6} and experiment.train.num_domains == 4
    ((query, gallery),) = experiment.tests["market1501"].pairs()
    assert query.pids.tolist() == [2, 4] and gallery.pids.tolist() == [-1, 2, 2, 4]


def test_cameras_of_two_sets_are_different_domains():
    zeros = torch.zeros(4, dtype=torch.int64)
    images = ImageSet(
        torch.zeros(4, 3, 2, 2, dtype=torch.uint8),
        zeros,
        torch.tensor([1, 0, 1, 2]),
        torch.tensor([0, 1, 1, 0]),
        ("a", "b"),
    )
    assert by_camera(images).names == ("a camera 2", "a camera 3", "b camera 1", "b camera 2")
    assert by_camera(images).domains.tolist() == [0, 2, 3, 1]


def test_unknown_names_are_answered_with_the_known_ones(root, tmp_path):
    with pytest.raises(ValueError, match="no protocol 'best': choose from original, no_duke"):
        choose("best")
    with pytest.raises(
        ValueError, match="no target 'viper': choose from market1501, cuhk03, msmt17"
    ):
        choose("leave_one_out", "viper")
    with pytest.raises(FileNotFoundError, match="give the folder that holds the data sets"):
        open_protocol("no_duke", tmp_path / "nowhere")


# any subset of what there is


def test_what_is_missing_is_said_in_the_result_and_the_rest_goes_on(tmp_path):
    fake_datasets.write_market1501(tmp_path / "Market-1501-v15.09.15")
    for k in range(1, 120):
        for image in (1, 2):
            write_person(tmp_path / f"ilids/Persons/{k:04d}{image:03d}.png", k, 1000 * image + k)
    experiment = open_protocol("no_duke", tmp_path, SIZE)
    assert set(experiment.missing) == {"cuhk02", "cuhk03", "cuhksysu", "viper", "prid", "grid"}
    assert "expected cam_a/000_45.bmp" in experiment.missing["viper"]
    result = evaluate_protocol(Pixels(), experiment)
    assert result["missing"] == experiment.missing and list(result["targets"]) == ["ilids"]
    assert result["average"]["mAP"]["mean"] == result["targets"]["ilids"]["mAP"]["mean"]
    assert result["sources"] == {"market1501": {"ids": 4, "images": 9}}


def test_without_any_source_there_is_no_training_but_a_test(root, tmp_path):
    (tmp_path / "VIPeR").symlink_to(root / "VIPeR")
    experiment = open_protocol("no_duke", tmp_path, SIZE)
    with pytest.raises(ValueError, match="no source to train on. market1501: not found in"):
        experiment.train  # noqa: B018
    assert evaluate_protocol(Pixels(), experiment)["targets"]["viper"]["splits"] == 10


def test_to_test_a_model_no_source_is_decoded(root, monkeypatch):
    seen = set()
    decode = load.decode
    monkeypatch.setattr(
        load, "decode", lambda picture, size: seen.add(picture.file) or decode(picture, size)
    )
    open_protocol("no_duke", root, SIZE).tests["ilids"].images  # noqa: B018
    assert {file.parent.name for file in seen} == {"Persons"}


def test_a_set_with_people_lost_is_among_the_missing_with_the_reason(root, tmp_path):
    fake_datasets.write_viper(tmp_path / "VIPeR")
    experiment = open_protocol("no_duke", tmp_path, SIZE)
    assert (
        not experiment.tests
        and "viper has 3 persons in query and gallery, not 632" in experiment.missing["viper"]
    )


def test_half_a_set_is_among_the_missing_and_the_others_go_on(tmp_path):
    fake_datasets.write_cuhk02(tmp_path / "cuhk02")
    shutil.rmtree(tmp_path / "cuhk02/P5")
    fake_datasets.write_cuhksysu(tmp_path / "cuhksysu")
    experiment = open_protocol("no_duke", tmp_path, SIZE)
    assert [listing.name for listing in experiment.sources] == ["cuhksysu"]
    assert (
        "can't be read" in experiment.missing["cuhk02"]
        and "lacks P5/cam1, P5/cam2" in experiment.missing["cuhk02"]
    )


def test_a_missing_h5py_is_a_reason_for_a_missing_set(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    fake_datasets.write_cuhk03_mat(tmp_path / "cuhk03")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install h5py" in open_protocol("no_duke", tmp_path, SIZE).missing["cuhk03"]


def test_an_incomplete_source_is_remarked_in_the_experiment_and_its_report(root, opened):
    expected = "cuhk02: not a complete copy: train has 10 of 1,816 persons in 40 of 7,264 pictures"
    assert expected in opened.remarks and not [
        line for line in opened.remarks if line.startswith("viper")
    ]
    assert evaluate_protocol(Pixels(), opened)["remarks"] == list(opened.remarks)


# source identities to choose a model by


def source(ids: int = 20) -> Listing:
    """Three cameras, four pictures a person; every fifth person is seen by one camera only."""
    rows = [(pid, 0 if pid % 5 == 0 else image % 3) for pid in range(ids) for image in range(4)]
    return Listing(
        "shop",
        Path(),
        tuple(Picture(Path(f"{k}.png"), *row, "train") for k, row in enumerate(rows)),
    )


def test_held_out_people_are_in_no_training_picture_and_each_is_found_by_another_camera():
    rest, kept, (query, gallery) = hold_out(source(), 6)
    assert len(kept.ids) == 6 and not rest.ids & kept.ids and rest.ids | kept.ids == source().ids
    assert len(rest) + len(kept) == len(source())
    assert sorted(kept.pictures[row].pid for row in query.tolist()) == sorted(kept.ids)
    assert sorted([*query.tolist(), *gallery.tolist()]) == list(range(len(kept)))
    assert all(pid % 5 for pid in kept.ids)
    again = hold_out(source(), 6)
    assert again[1] == kept and torch.equal(again[2].query, query)
    assert hold_out(source(), 3)[1].ids < kept.ids  # fewer are some of the same


def test_more_people_than_there_are_cannot_be_held_out():
    with pytest.raises(
        ValueError, match="shop: cannot hold out 16 of 16 identities seen by two cameras"
    ):
        hold_out(source(), 16)


def test_held_out_people_validate_a_model(tmp_path):
    for k in range(1, 6):
        for camera in (1, 2):
            write_person(
                tmp_path / f"market/bounding_box_train/{k:04d}_c{camera}s1_000000_00.png",
                k,
                10 * camera + k,
            )
    experiment = open_protocol("no_duke", tmp_path, SIZE, held_out=2)
    assert any("query is missing or holds no picture" in line for line in experiment.remarks)
    assert open_protocol("no_duke", tmp_path, SIZE).train.num_ids == 5
    assert experiment.train.num_ids == 3 and len(experiment.train) == 6
    ((query, gallery),) = experiment.validation["market1501"].pairs()
    assert (len(query), len(gallery)) == (2, 2)
    features = [extract_features(Pixels(), images) for images in (query, gallery)]
    ranks = [
        1 + int((features[1] @ f > f @ features[1][gallery.pids == pid][0]).sum())
        for f, pid in zip(features[0], query.pids, strict=True)
    ]
    assert validate(Pixels(), experiment) == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_a_model_cannot_be_chosen_by_people_that_were_not_held_out(opened):
    with pytest.raises(ValueError, match="no identities were held out"):
        validate(Pixels(), opened)


# numbers


def test_the_report_is_what_counting_by_hand_gives(opened):
    found = evaluate_protocol(Pixels(), opened)
    result = found["targets"]["viper"]
    ranks = []
    for query, gallery in opened.tests["viper"].pairs():
        a, b = (extract_features(Pixels(), images).double().numpy() for images in (query, gallery))
        match = query.pids.numpy()[:, None] == gallery.pids.numpy()  # one in each row
        scores = a @ b.T
        ranks.append(1 + (scores > scores[match][:, None]).sum(axis=1))
    assert result["splits"] == 10 and result["queries"] == 3160 and result["unmatched_queries"] == 0
    for metric, rates in {
        "rank1": [(r <= 1).mean() for r in ranks],
        "rank5": [(r <= 5).mean() for r in ranks],
        "rank10": [(r <= 10).mean() for r in ranks],
        "mAP": [(1 / r).mean() for r in ranks],  # one match each: mAP = mINP = mean reciprocal rank
        "mINP": [(1 / r).mean() for r in ranks],
    }.items():
        assert result[metric]["mean"] == pytest.approx(
            np.mean(rates), abs=2e-4
        )  # features are rounded to 2^-26
        assert result[metric]["std"] == pytest.approx(np.std(rates, ddof=1), abs=2e-4)
        assert 0.05 < result[metric]["mean"] < 0.99, (
            "a test that everything or nothing passes shows nothing"
        )
        mean = np.mean([found["targets"][name][metric]["mean"] for name in DESIGNS])
        assert found["average"][metric]["mean"] == pytest.approx(mean)


def test_the_report_can_be_written_as_json_and_is_the_same_again(opened):
    first, again = (evaluate_protocol(Pixels(), opened) for _ in range(2))
    assert json.loads(json.dumps(first)) == first == again
    assert first["protocol"] == "no_duke" and set(first["targets"]) == set(DESIGNS)
    assert all(
        first["targets"][name]["split_origin"].startswith("seeded, sha256") for name in DESIGNS
    )


def searched(right: list[int], pids: list[int]):
    """A retrieval in which the query of a person finds its only match first, where `right`, and second elsewhere."""
    angles = torch.arange(len(pids)) * 2 * torch.pi / len(pids)
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1)  # (G, 2) on a circle
    target = torch.arange(len(pids)) + 1 - torch.tensor(right)
    shift = torch.where(
        torch.tensor(right) == 1, 0.0, -0.3 * 2 * torch.pi / len(pids)
    )  # the match is the second nearest
    query = torch.stack(
        [(angles[target % len(pids)] + shift).cos(), (angles[target % len(pids)] + shift).sin()],
        dim=1,
    )
    return retrieval(query, gallery, torch.tensor(pids), torch.tensor(pids))


def pretended(**tests) -> SimpleNamespace:
    origins = {name: SimpleNamespace(origin="by hand") for name in tests}
    return SimpleNamespace(
        protocol="pretended", sources=(), missing={}, remarks=(), validation={}, tests=origins
    )


def test_mean_and_deviation_over_splits_by_hand():
    found = {
        "a": [searched([1, 1, 1, 0], [1, 2, 3, 4]), searched([1, 0, 0, 0], [1, 2, 5, 6])],
        "b": [searched([1, 1, 0, 0], [1, 2, 3, 4])],
    }
    result = report(pretended(**found), found)
    assert result["targets"]["a"]["rank1"]["mean"] == pytest.approx(0.5)
    assert result["targets"]["a"]["rank1"]["std"] == pytest.approx(0.5 / 2**0.5)
    assert result["targets"]["a"]["mAP"]["mean"] == pytest.approx((3.5 / 4 + 2.5 / 4) / 2)
    assert result["targets"]["b"]["rank1"]["std"] is None
    assert result["average"]["rank1"]["mean"] == pytest.approx(0.5)


def test_an_interval_draws_a_person_with_all_splits_that_test_it():
    """Persons 0-59 are tested five times with one outcome: the spread is that of 60 people, not of 300 queries."""
    right = (np.random.default_rng(0).random(60) < 0.6).astype(int).tolist()
    found = {"a": [searched(right, list(range(60))) for _ in range(5)]}
    interval = report(pretended(**found), found)["targets"]["a"]["rank1"]
    share = np.mean(right)
    half = 1.96 * (share * (1 - share) / 60) ** 0.5
    assert (interval["high"] - interval["low"]) / 2 == pytest.approx(half, rel=0.1)


def test_the_average_of_two_targets_is_surer_than_either():
    right = [
        (np.random.default_rng(seed).random(80) < 0.5).astype(int).tolist() for seed in range(2)
    ]
    found = {name: [searched(r, list(range(80)))] for name, r in zip("ab", right, strict=True)}
    result = report(pretended(**found), found)
    width = {
        name: part["rank1"]["high"] - part["rank1"]["low"]
        for name, part in result["targets"].items()
    }
    average = result["average"]["rank1"]
    assert average["high"] - average["low"] == pytest.approx(
        (width["a"] ** 2 + width["b"] ** 2) ** 0.5 / 2, rel=0.1
    )


def test_two_models_are_compared_query_by_query():
    a = {"t": [searched([1, 1, 1, 0], [1, 2, 3, 4]), searched([1, 1, 0, 0], [1, 2, 5, 6])]}
    b = {"t": [searched([1, 1, 0, 0], [1, 2, 3, 4]), searched([1, 1, 0, 0], [1, 2, 5, 6])]}
    result = compare(a, b, "rank1")
    assert result["targets"]["t"]["mean"] == pytest.approx(1 / 8) and result["average"][
        "mean"
    ] == pytest.approx(1 / 8)
    assert result["targets"]["t"]["splits"] == 2 and result["targets"]["t"]["splits_ahead"] == 1
    assert result["targets"]["t"]["low"] == 0  # without person 3, a is no better than b
    same = compare(a, a)["average"]
    assert same == {"mean": 0, "low": 0, "high": 0}


def test_only_the_same_targets_and_queries_are_compared():
    a, b = ({"t": [searched([1, 1, 0], pids)]} for pids in ([1, 2, 3], [1, 2, 4]))
    with pytest.raises(ValueError, match="same queries"):
        compare(a, b)
    with pytest.raises(ValueError, match="needs the same targets"):
        compare(a, {"other": b["t"]})


def test_two_models_on_real_splits_differ_by_the_difference_of_their_reports(opened):
    models = Pixels(), Pixels(3)
    found = [
        {name: retrieve(model, test) for name, test in opened.tests.items()} for model in models
    ]
    reports = [report(opened, f) for f in found]
    result = compare(*found, "rank1")
    for name in DESIGNS:
        means = [r["targets"][name]["rank1"]["mean"] for r in reports]
        assert result["targets"][name]["mean"] == pytest.approx(means[0] - means[1])
    assert result["average"]["low"] > 0  # more pixels are better, and ten splits show it
    alone = [r["average"]["rank1"]["high"] - r["average"]["rank1"]["low"] for r in reports]
    assert result["average"]["high"] - result["average"]["low"] < sum(alone)


def test_several_seeds_are_averaged_with_students_interval():
    def seed(rank1: float) -> dict:
        values = {metric: {"mean": rank1} for metric in METRICS}
        return {
            "protocol": "no_duke",
            "sources": {"a": {}},
            "targets": {"t": values},
            "average": values,
        }

    result = over_seeds([seed(0.5), seed(0.6), seed(0.7)])
    for part in (result["t"], result["average"]):
        assert part["rank1"]["mean"] == pytest.approx(0.6) and part["rank1"][
            "std"
        ] == pytest.approx(0.1)
        assert part["rank1"]["high"] - 0.6 == pytest.approx(
            4.302653 * 0.1 / 3**0.5
        )  # t of 2 degrees of freedom
        assert part["rank1"]["values"] == [0.5, 0.6, 0.7]
    with pytest.raises(ValueError, match="same sets"):
        over_seeds([seed(0.5), {**seed(0.6), "sources": {}}])


def test_three_rules_choose_a_checkpoint_and_the_oracle_may_not_be_claimed():
    run = [
        Candidate("100", 0.5, 0.40),
        Candidate("200", 0.7, 0.45),
        Candidate("300", 0.6, 0.55),
        Candidate("400", 0.65, 0.50),
    ]
    last, validated, oracle = select(run)
    assert (last["checkpoint"], validated["checkpoint"], oracle["checkpoint"]) == (
        "400",
        "200",
        "300",
    )
    assert [row["target"] for row in (last, validated, oracle)] == [0.50, 0.45, 0.55]
    assert [row["may_be_claimed"] for row in (last, validated, oracle)] == [True, True, False]
    with pytest.raises(ValueError, match="no checkpoint"):
        select([])


# the command


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An untrained network that says it was trained on all sources but CUHK03."""
    file = tmp_path_factory.mktemp("run") / "model.safetensors"
    domains = ["market1501", "cuhk02", "cuhksysu"]
    config = {"size": [32, 16], "algorithm": "joint", "seed": 7}
    save_model(
        file, build_model("bn", 3), "bn", config=json.dumps(config), domains=json.dumps(domains)
    )
    return file


def test_the_command_prints_our_rates_above_the_printed_ones_and_writes_them(
    root, weights, tmp_path, capsys
):
    words = [
        "--data-root",
        root,
        "--protocol",
        "original",
        "--cache",
        tmp_path / "cache",
        "--held-out",
        1,
    ]
    main([str(word) for word in ("--weights", weights, *words, "--json", tmp_path / "result.json")])
    result = json.loads((tmp_path / "result.json").read_text())
    assert (
        set(result["targets"]) == set(DESIGNS)
        and result["size"] == [32, 16]
        and result["notes"]["config"]["seed"] == 7
    )
    assert (
        result["provenance"]["python"]
        and result["seconds"] > 0
        and 0 < result["validation_mAP"] <= 1
    )
    text = capsys.readouterr().out
    blocks = text.split("here, mean over 10 splits")[1:]
    for name, block in zip(
        (*DESIGNS, "average"), [*blocks, text.split("average  ")[1]], strict=True
    ):
        part = result["targets"].get(name, result["average"])
        rates = block.splitlines()[0].split()[-4:]
        assert rates == [
            f"{100 * part[metric]['mean']:.1f}" for metric in ("rank1", "rank5", "rank10", "mAP")
        ]
        printed = [row for row in published("original", name) if row.method == "MetaBIN"]
        assert (
            all(f"{row.rank1:.1f}" in block and "Table 1" in block for row in printed)
            and len(printed) == 2
        )
    assert (
        "without dukemtmc: read only on request" in text
        and "note: cuhk02: not a complete copy" in text
    )
    assert (
        "note: the weights were trained on market1501, cuhk02, cuhksysu, not on the protocol's"
        in text
    )


def test_the_command_gives_no_average_where_a_target_is_missing(root, weights, tmp_path, capsys):
    for name in ("VIPeR", "ilids"):
        (tmp_path / name).symlink_to(root / name)
    main(
        [
            "--weights",
            str(weights),
            "--data-root",
            str(tmp_path),
            "--cache",
            str(tmp_path / "cache"),
        ]
    )
    text = capsys.readouterr().out
    assert (
        "no average over all targets: prid, grid could not be tested" in text
        and "\naverage " not in text
    )


def test_the_command_says_what_it_lacks_in_one_line(weights, tmp_path, capsys):
    for words, message in (
        (["--weights", "none"], "no weights at none"),
        (["--weights", str(weights)], "has no target"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([*words, "--data-root", str(tmp_path)])
        assert stop.value.code == 2 and message in capsys.readouterr().err


# printed numbers


def test_the_printed_averages_are_the_means_of_the_four_printed_targets():
    averages = published("original")
    assert len(averages) == 10
    for row in averages:
        parts = [
            r
            for r in PUBLISHED
            if (r.method, r.backbone, r.protocol) == row[:3] and r.target in DESIGNS
        ]
        for metric in ("rank1", "mAP"):
            values = [getattr(part, metric) for part in parts]
            if getattr(row, metric) is not None:
                assert len(values) == 4 and abs(np.mean(values) - getattr(row, metric)) <= 0.0501, (
                    row,
                    metric,
                )
            else:
                assert values == [None] * 4


def test_printed_rows_are_found_by_protocol_and_target():
    best = {row.method: row for row in published("original", "prid") if row.backbone == "ResNet-50"}
    assert best["MetaBIN"][4:8] == (74.2, 89.7, 92.2, 81.0) and best["MetaBIN"].source.endswith(
        "Table 1"
    )
    back = {row.method: row for row in published("market_duke", "market1501")}
    assert back["MetaBIN"][4:8] == (69.2, 83.1, 87.8, 35.9) and back["SNR"][4:8] == (
        66.7,
        None,
        None,
        33.9,
    )
    assert [row.method for row in published("no_duke")] == ["MetaBIN", "META", "ACL", "CILP-FGDI"]
    assert {row.protocol for row in PUBLISHED} <= set(PROTOCOLS) and all(
        row.source for row in PUBLISHED
    )
