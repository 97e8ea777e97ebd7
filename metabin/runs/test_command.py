"""`python -m metabin test`: trained weights in, a table's row out.

    python -m metabin test --weights build/runs/paper/model.safetensors --data-root ~/reid

Rates are means over splits, with their standard deviation and a 95 % interval over identities.
Printed rows stand below. The exit code is 2 when something is missing that the test needs.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from metabin.datasets.protocols import PROTOCOLS, open_protocol, protocol_run
from metabin.datasets.published import published
from metabin.runs.flags import add_opt_in
from metabin.runs.provenance import cache_folder, provenance, write_json

COLUMNS = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mAP": "mAP"}


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = argparse.ArgumentParser(
        "python -m metabin test",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add("--weights", type=Path, required=True, help="model.safetensors of a run")
    add("--data-root", type=Path, required=True, help="the folder that holds the data sets")
    add("--protocol", choices=PROTOCOLS, default="no_duke", help="(default: no_duke)")
    add("--target", help="which run of a protocol that has several")
    add_opt_in(flags)
    add("--held-out", type=int, default=0, metavar="N", help="as in training: test on these too")
    add("--size", type=int, nargs=2, help="height and width of images (default: the training's)")
    add("--cache", type=Path, help="for decoded images (default: build/cache)")
    add("--json", type=Path, help="write the report to this file too")
    return flags


def run_test(options: argparse.Namespace) -> dict:
    """The report under a protocol, with what the weights say of their training, and provenance."""
    import torch  # `--help` doesn't wait for it

    from metabin.evaluate.reports import evaluate_protocol, validate
    from metabin.runs.checkpoints import load_model

    model, notes = load_model(options.weights)
    for name in ("config", "domains"):
        notes[name] = json.loads(notes.get(name, "null"))
    size = tuple(options.size or (notes["config"] or {}).get("size", (256, 128)))
    run = protocol_run(options.protocol, options.target)
    cache = options.cache or cache_folder()
    protocol = open_protocol(run, options.data_root, size, cache, options.held_out, options.opt_in)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    begun = time.monotonic()
    report = evaluate_protocol(model, protocol)
    if protocol.validation:
        report["validation_mAP"] = validate(model, protocol)
    report["seconds"] = round(time.monotonic() - begun, 1)
    report["run"], report["size"] = run._asdict(), size
    report["weights"], report["notes"] = str(options.weights), notes
    report["remarks"] += other_sources(notes["domains"], run.sources)
    report["provenance"] = provenance()
    return report


def other_sources(domains: list[str] | None, sources: tuple[str, ...]) -> list[str]:
    """A remark where the weights learned from other sets than the protocol's, or don't say."""
    if domains is None:
        return ["the weights don't say what they were trained on"]
    trained = list(dict.fromkeys(name.partition(" camera ")[0] for name in domains))
    if set(trained) == set(sources):
        return []
    expected = ", ".join(sources)
    return [f"the weights were trained on {', '.join(trained)}, not on the protocol's {expected}"]


def report_lines(report: dict) -> Iterator[str]:
    """The report in words: what was tested, the table, and what to know about the sets."""
    notes = report["notes"]
    algorithm = (notes["config"] or {}).get("algorithm", "")
    yield f"{report['weights']}: {algorithm} {notes['norm']}, {notes['backbone']}"
    yield f"protocol {report['protocol']}: learns from {', '.join(report['run']['sources'])}"
    yield from table_lines(report)
    if "validation_mAP" in report:
        held_out = ", ".join(report["held_out"])
        rate = 100 * report["validation_mAP"]
        yield f"mAP on identities held out of {held_out}: {rate:.1f}"
    for name, reason in report["missing"].items():
        yield f"without {name}: {reason}"
    for remark in report["remarks"]:
        yield f"note: {remark}"


def table_lines(report: dict) -> Iterator[str]:
    """Our rates in percent, target by target and on average, each above the printed rows."""
    rows, names = dict(report["targets"]), report["run"]["targets"]
    missing = [name for name in names if name not in rows]
    if len(rows) > 1 and not missing:
        rows["average"] = report["average"]
    width = max(map(len, (*rows, *names, "average")))
    yield " " * (width + 32) + "".join(f"{title:>9}" for title in COLUMNS.values())
    for name, rates in rows.items():
        num_splits = rates.get("splits", 1)
        over = f" over {num_splits} splits" if num_splits > 1 else ""
        kinds = {f"here, mean{over}": "mean"}
        if over:
            kinds["  standard deviation of a split"] = "std"
        kinds |= {"  95 % from": "low", "  to": "high"}
        title = name
        for label, kind in kinds.items():
            values = [100 * rates[metric][kind] for metric in COLUMNS]
            yield table_line(f"{title:{width}}  {label}", width, values)
            title = ""
        for printed in published(report["protocol"], name):
            label = f"{printed.method} {printed.backbone}".strip()
            values = [getattr(printed, metric) for metric in COLUMNS]
            line = table_line(" " * (width + 2) + f"{label:.30}", width, values)
            yield f"{line}   {printed.source}"
    if missing:
        yield f"no average over all targets: {', '.join(missing)} could not be tested"


def table_line(label: str, width: int, rates: Sequence[float | None]) -> str:
    """A label and a cell for each rate, "-" where there is none."""
    cells = ["-" if rate is None else f"{rate:.1f}" for rate in rates]
    return f"{label:{width + 32}}" + "".join(f"{cell:>9}" for cell in cells)


def main(arguments: list[str] | None = None) -> None:
    """Test from the command line."""
    flags = parser()
    options = flags.parse_args(arguments)
    try:
        report = run_test(options)
        if options.json:
            write_json(options.json, report)
    except (ValueError, OSError, ImportError) as error:
        flags.exit(2, f"{error}\n")
    print(*report_lines(report), sep="\n")
    if options.json:
        print(f"written: {options.json}")
