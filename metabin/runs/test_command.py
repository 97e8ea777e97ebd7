"""`python -m metabin test`: trained weights in, a table out.

    python -m metabin test --weights build/runs/paper/model.safetensors --data-root ~/reid
    python -m metabin test --weights build/runs/mine/model.safetensors --targets my_folder more.csv
    python -m metabin test --weights build/runs/*/model.safetensors --data-root ~/reid \\
        --targets market1501 viper my_folder --json build/result.json

Rates are means over splits, with their standard deviation and a 95 % interval over people. Printed
rows stand below; several weights make one table, with differences from the first. Own pictures lie
in folders `query` and `gallery`, or a CSV file has a column `part`; data/README.md says more. The
JSON file holds rank lists too: `python -m metabin figures --rank-lists` draws them.
The exit code is 2 when something is missing that the test needs.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from metabin.datasets.protocols import OpenProtocol, Target
from metabin.runs.flags import add_target_flags, command_flags
from metabin.runs.provenance import provenance, write_json
from metabin.runs.report_lines import COMPARED, report_lines
from metabin.runs.targets import count_copies, open_targets

COPIES = "lie in the gallery too, pixel by pixel: no query finds its own copy"
UNKNOWN_SIZE = (256, 128)  # the paper's


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_flags("test", __doc__)
    add = flags.add_argument
    help = "model.safetensors of a run, or of several"
    add("--weights", type=Path, required=True, nargs="+", metavar="FILE", help=help)
    add("--data-root", type=Path, help="the folder that holds the data sets")
    add_target_flags(flags)
    add("--size", type=int, nargs=2, help="height and width of images (default: the training's)")
    add("--json", type=Path, help="write the report to this file too, with rank lists")
    return flags


def run_test(weights: Path, options: argparse.Namespace) -> tuple[dict, dict]:
    """The report of one file of weights, with its training and provenance; and its retrievals."""
    import torch  # `--help` doesn't wait for it

    from metabin.evaluate.ranks import rank_lists
    from metabin.evaluate.reports import protocol_report, search, target_features, validate
    from metabin.runs.checkpoints import load_model

    model, notes = load_model(weights)
    for name in ("config", "domains"):
        notes[name] = json.loads(notes.get(name, "null"))
    size = tuple(options.size or (notes["config"] or {}).get("size", ()))
    protocol = open_targets(options, size or UNKNOWN_SIZE)
    if not size:
        height, width = UNKNOWN_SIZE
        what = f"don't say how large their pictures are: tested at {height} x {width}"
        protocol.remarks.append(f"{weights}: the weights {what}; --size gives another")
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    begun = time.monotonic()
    retrievals, lists = {}, {}
    for name, target in protocol.tests.items():
        try:
            copies = count_copies(target)
        except ValueError as error:
            protocol.missing[name] = str(error)
            continue
        if copies:
            protocol.remarks.append(f"{name}: {copies:,} queries {COPIES}")
        features = target_features(model, target)
        retrievals[name] = search(features, target)
        lists[name] = rank_lists(features, target, retrievals[name][0])
    report = protocol_report(protocol, retrievals)
    retrievals = {name: retrievals[name] for name in report["targets"]}
    if protocol.validation:
        report["validation_mAP"] = validate(model, protocol)
    report["seconds"] = round(time.monotonic() - begun, 1)
    report["run"], report["size"] = protocol.run._asdict(), protocol.size
    report["weights"], report["notes"] = str(weights), notes
    report["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    report["remarks"] += training_remarks(notes["domains"], protocol)
    report["data"] = {name: contents(protocol.tests[name]) for name in retrievals}
    report["rank_lists"] = {name: lists[name] for name in retrievals}
    report["provenance"] = provenance()
    return report, retrievals


def add_differences(reports: Sequence[dict], retrievals: Sequence[dict]) -> None:
    """Put into all reports but the first what their rates are minus the first one's.

    Without the camera rule, pictures that are equal at one size may differ at another. Then the
    queries are not the same, and a remark says so.
    """
    from metabin.evaluate.reports import compare_retrievals

    for report, own in zip(reports[1:], retrievals[1:], strict=True):
        try:
            differences = [compare_retrievals(own, retrievals[0], metric) for metric in COMPARED]
        except ValueError as error:
            report["remarks"].append(f"{report['weights']}: no difference from the first: {error}")
            continue
        report["minus_first"] = dict(zip(COMPARED, differences, strict=True))


def contents(target: Target) -> dict:
    """Where a target's pictures lie, how many there are, and hashes that tell them from others."""
    listing = target.listing
    counts = {"people": len(listing.ids), "pictures": len(listing)}
    return {"root": str(listing.root)} | counts | {"digests": target.images.digests()}


def training_remarks(domains: list[str] | None, protocol: OpenProtocol) -> list[str]:
    """Where the weights learned from other sets than the protocol's, or from a target.

    `domains` is None where they don't say.
    """
    if domains is None:
        return ["the weights don't say what they were trained on"]
    trained = list(dict.fromkeys(name.partition(" camera ")[0] for name in domains))
    sources = protocol.run.sources
    if sources and set(trained) != set(sources):
        names, expected = ", ".join(trained), ", ".join(sources)
        return [f"the weights were trained on {names}, not on the protocol's {expected}"]
    if sources:
        return []
    home = [name for name in protocol.tests if name in trained]
    what = (
        "the weights learned from pictures of this name: a test at home, and none at all if they "
        "learned from its query and gallery too, as protocols original and no_duke do"
    )
    return [f"{name}: {what}" for name in home]


def main(arguments: list[str] | None = None) -> None:
    """Test from the command line."""
    flags = parser()
    options = flags.parse_args(arguments)
    try:
        tested = [run_test(weights, options) for weights in options.weights]
        reports, retrievals = zip(*tested, strict=True)
        add_differences(reports, retrievals)
        if options.json:
            single = len(reports) == 1
            write_json(options.json, reports[0] if single else {"reports": reports})
    except (ValueError, OSError, ImportError) as error:
        flags.exit(2, f"{error}\n")
    print(*report_lines(reports), sep="\n")
    if options.json:
        print(f"written: {options.json}")
