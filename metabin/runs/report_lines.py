"""The reports of `python -m metabin test` in words and tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from metabin.datasets.published import published

COLUMNS = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mAP": "mAP"}
COMPARED = ("rank1", "mAP")  # where there are several weights
CELL = 26  # characters of "+12.3 [-100.0, +100.0]" and what is between two


def report_lines(reports: Sequence[dict]) -> Iterator[str]:
    """What was tested on what, the table, and what to know about the sets."""
    for report in reports:
        yield model_line(report)
    run = reports[0]["run"]
    if run["sources"]:
        yield f"protocol {run['protocol']}: learns from {', '.join(run['sources'])}"
    yield from table_lines(reports[0]) if len(reports) == 1 else comparison_lines(reports)
    for report in reports:
        if "validation_mAP" in report:
            held_out = ", ".join(report["held_out"])
            rate = 100 * report["validation_mAP"]
            yield f"mAP on identities held out of {held_out}: {rate:.1f}"
    for name, reason in reports[0]["missing"].items():
        yield f"without {name}: {reason}"
    remarks = [remark for report in reports for remark in report["remarks"]]
    for remark in dict.fromkeys(remarks):
        yield f"note: {remark}"


def model_line(report: dict) -> str:
    """Which weights, of what network, trained how and on what."""
    notes = report["notes"]
    algorithm = (notes["config"] or {}).get("algorithm", "")
    trained = f", trained on {', '.join(notes['domains'])}" if notes["domains"] else ""
    network = f"{algorithm} {notes['norm']}, {notes['backbone']}".lstrip()
    return f"{report['weights']}: {network}{trained}"


def table_lines(report: dict) -> Iterator[str]:
    """Our rates in percent, target by target and on average, each above the printed rows."""
    rows = tested_rows(report)
    width = max(map(len, (*rows, "average")))
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
    if missing := untested(report):
        yield f"no average over all targets: {', '.join(missing)} could not be tested"


def table_line(label: str, width: int, rates: Sequence[float | None]) -> str:
    """A label and a cell for each rate, "-" where there is none."""
    cells = ["-" if rate is None else f"{rate:.1f}" for rate in rates]
    return f"{label:{width + 32}}" + "".join(f"{cell:>9}" for cell in cells)


def comparison_lines(reports: Sequence[dict]) -> Iterator[str]:
    """A row for each of several weights and a column for each target, by Rank-1 and by mAP.

    Below are the rows minus the first one, with intervals of the difference.
    """
    labels = names_of_weights([Path(report["weights"]) for report in reports])
    width = max(map(len, labels)) + len(labels[0]) + 3
    widths = {name: max(CELL, len(name) + 3) for name in tested_rows(reports[0])}
    for metric in COMPARED:
        rows = []
        for label, report in zip(labels, reports, strict=True):
            tested = tested_rows(report).items()
            rows.append((label, {name: interval(rates[metric]) for name, rates in tested}))
        for label, report in zip(labels, reports, strict=True):
            if "minus_first" in report:
                result = report["minus_first"][metric]
                differences = (result["targets"] | {"average": result["average"]}).items()
                cells = {name: interval(difference, "+") for name, difference in differences}
                rows.append((f"{label} − {labels[0]}", cells))
        yield f"{COLUMNS[metric]} in percent, 95 % CI over people"
        yield " " * width + "".join(f"{name:>{cell}}" for name, cell in widths.items())
        for label, cells in rows:
            line = "".join(f"{cells[name]:>{cell}}" for name, cell in widths.items())
            yield f"{label:{width}}{line}"


def interval(rate: dict, sign: str = "-") -> str:
    """A rate or a difference in percent with its interval; the sign "+" is always shown."""
    mean, low, high = (100 * rate[kind] for kind in ("mean", "low", "high"))
    return f"{mean:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"


def names_of_weights(paths: Sequence[Path]) -> list[str]:
    """The folders' names where they differ, else the files' where those do, else the paths."""
    folders, files = [path.absolute().parent.name for path in paths], [path.stem for path in paths]
    for names in (folders, files):
        if len(set(names)) == len(paths):
            return names
    return [str(path) for path in paths]


def tested_rows(report: dict) -> dict[str, dict]:
    """Rates by target and, where there are several and none is missing, on average."""
    rows = dict(report["targets"])
    if len(rows) > 1 and not untested(report):
        rows["average"] = report["average"]
    return rows


def untested(report: dict) -> list[str]:
    return [name for name in report["run"]["targets"] if name not in report["targets"]]
