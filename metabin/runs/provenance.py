"""Where a number comes from: commit, versions, machine. And a file that is whole or not there."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
    "matplotlib",
    "papermill",
    "ipykernel",
    "metabin",
)


def provenance() -> dict:
    """What a number needs to be believed later. Outside a git checkout the commit is None."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    here = (ROOT / ".git").exists()  # not some repository further up
    changes = git("status", "--porcelain") if here else None
    return {
        "commit": git("rev-parse", "HEAD") if here else None,
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "versions": {
            x.name: x.version for x in importlib.metadata.distributions() if x.name in PACKAGES
        },
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file that appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
