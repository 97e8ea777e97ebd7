"""`python -m metabin test`: trained weights in, a table's row out.

    python -m metabin test --weights build/runs/paper/model.safetensors --data-root ~/reid --protocol no_duke

Rates are means over splits, with their standard deviation and a 95 % interval over identities. Printed rows stand below.
The exit code is 2 when something is missing that the test can't do without.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from metabin.datasets import SETS
from metabin.datasets.protocols import PROTOCOLS, open_protocol, protocol_run
from metabin.datasets.published import published
from metabin.evaluate.reports import evaluate_protocol, validate
from metabin.runs.checkpoints import load_model
from metabin.runs.provenance import provenance, write_json

COLUMNS = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mAP": "mAP"}


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser("python -m metabin test", description=__doc__)
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--weights", type=Path, required=True, help="model.safetensors of a run")
    flags.add_argument(
        "--data-root", type=Path, required=True, help="the folder that holds the data sets"
    )
    flags.add_argument(
        "--protocol", choices=PROTOCOLS, default="no_duke", help="(default: no_duke)"
    )
    flags.add_argument("--target", help="which run of a protocol that has several")
    opt_in = [name for name, known in SETS.items() if known.opt_in]
    flags.add_argument(
        "--opt-in", nargs="+", default=(), choices=opt_in, help="sets that are read only on request"
    )
    flags.add_argument(
        "--held-out", type=int, default=0, metavar="N", help="as in training: test on these, too"
    )
    flags.add_argument(
        "--size",
        type=int,
        nargs=2,
        help="height and width of images (default: those of the training)",
    )
    flags.add_argument(
        "--cache",
        type=Path,
        default=Path("build/cache"),
        help="for decoded images (default: build/cache)",
    )
    flags.add_argument("--json", type=Path, help="write the report to this file, too")
    return flags


def evaluate(given: argparse.Namespace) -> dict:
    """`report`, with what the weights say of their training, seconds and provenance."""
    model, notes = load_model(given.weights)
    notes = notes | {name: json.loads(notes.get(name, "null")) for name in ("config", "domains")}
    size = tuple(given.size or (notes["config"] or {}).get("size", (256, 128)))
    opened = open_protocol(
        protocol_run(given.protocol, given.target),
        given.data_root,
        size,
        given.cache,
        given.held_out,
        given.opt_in,
    )
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    begun = time.monotonic()
    result = evaluate_protocol(model, opened)
    if opened.validation:
        result["validation_mAP"] = validate(model, opened)
    seconds = {"seconds": round(time.monotonic() - begun, 1)}
    run = {"run": opened.run._asdict(), "size": size}
    result["remarks"] += other_sources(notes["domains"], run["run"]["sources"])
    return (
        result
        | run
        | {"weights": str(given.weights), "notes": notes}
        | seconds
        | {"provenance": provenance()}
    )


def other_sources(domains: list[str] | None, sources: tuple[str, ...]) -> list[str]:
    """A remark where the weights were not trained on the protocol's sources, or don't say on what."""
    if domains is None:
        return ["the weights don't say what they were trained on"]
    trained = list(dict.fromkeys(name.partition(" camera ")[0] for name in domains))
    if set(trained) == set(sources):
        return []
    return [
        f"the weights were trained on {', '.join(trained)}, not on the protocol's {', '.join(sources)}"
    ]


def table(result: dict) -> Iterator[str]:
    """Our rates in percent, target by target and on average, each above the printed rows."""
    width = max(len(name) for name in (*result["targets"], "average", *result["run"]["targets"]))
    yield " " * (width + 32) + "".join(f"{title:>9}" for title in COLUMNS.values())
    parts = dict(result["targets"])
    lacking = [name for name in result["run"]["targets"] if name not in parts]
    if len(parts) > 1 and not lacking:
        parts["average"] = result["average"]
    for name, part in parts.items():
        splits = f" over {part['splits']} splits" if part.get("splits", 1) > 1 else ""
        yield row(name, width, f"here, mean{splits}", (100 * part[m]["mean"] for m in COLUMNS))
        if splits:
            yield row(
                "",
                width,
                "  standard deviation of a split",
                (100 * part[m]["std"] for m in COLUMNS),
            )
        yield row("", width, "  95 % from", (100 * part[m]["low"] for m in COLUMNS))
        yield row("", width, "  to", (100 * part[m]["high"] for m in COLUMNS))
        for printed in published(result["protocol"], name):
            who = f"{printed.method} {printed.backbone}".strip()
            yield (
                row("", width, f"{who:.30}", (getattr(printed, m) for m in COLUMNS))
                + f"   {printed.source}"
            )
    if lacking:
        yield f"no average over all targets: {', '.join(lacking)} could not be tested"


def row(name: str, width: int, what: str, rates: Iterator[float | None]) -> str:
    cells = "".join(f"{'-' if rate is None else f'{rate:.1f}':>9}" for rate in rates)
    return f"{name:{width}}  {what:30}{cells}"


def show(result: dict) -> Iterator[str]:
    """The report as lines: what was tested, the table, and what to know about the sets."""
    config = result["notes"]["config"] or {}
    yield f"{result['weights']}: {config.get('algorithm', '')} {result['notes']['norm']}, {result['notes']['backbone']}"
    yield f"protocol {result['protocol']}: learns from {', '.join(result['run']['sources'])}"
    yield from table(result)
    if "validation_mAP" in result:
        held_out = ", ".join(result["held_out"])
        yield f"mAP on identities held out of {held_out}: {100 * result['validation_mAP']:.1f}"
    yield from (f"without {name}: {reason}" for name, reason in result["missing"].items())
    yield from (f"note: {line}" for line in result["remarks"])


def main(arguments: list[str] | None = None):
    """Test from the command line."""
    flags = parser()
    given = flags.parse_args(arguments)
    try:
        result = evaluate(given)
        if given.json:
            write_json(given.json, result)
    except (ValueError, OSError, ImportError) as error:
        flags.exit(2, f"{error}\n")
    print(*show(result), sep="\n")
    if given.json:
        print(f"written: {given.json}")
