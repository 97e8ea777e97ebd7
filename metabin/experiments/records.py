"""Records of trials: a JSON line each in a tracked file, so that any machine goes on from them."""

import json
import os
from pathlib import Path

from metabin.experiments.results import RESULTS

try:
    import fcntl
except ImportError:  # Windows: one process at a time may write
    fcntl = None

RECORDS = RESULTS / "trials.jsonl"


def read_records(path: Path) -> dict[str, dict]:
    """Records by their trials' keys. A line that was cut off is left out."""
    records = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            records[record["key"]] = record
    return records


def add_record(path: Path, record: dict) -> None:
    """Append a record. Several processes may do so at once."""
    line = json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        if _ends_within_a_line(file):
            file.write(b"\n")
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def _ends_within_a_line(file) -> bool:
    """Whether a process was killed while it wrote the last line."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
