"""The rank lists that `python -m metabin test --json` keeps, drawn from the pictures' files."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from metabin.datasets.decode import decode
from metabin.datasets.listing import Picture
from metabin.plotting.retrieval import draw_rank_lists
from metabin.plotting.style import save, use_style
from metabin.runs.report_lines import names_of_weights

SIZE = (96, 48)  # height and width of a picture as it is drawn


def draw_result(file: Path) -> list[Path]:
    """Draw a picture beside the file for each target, and for each of several weights.

    Raises ValueError where the file holds no rank lists or a picture can't be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        reports = content.get("reports", [content])
        lists = [report["rank_lists"] for report in reports]
    except (ValueError, KeyError, AttributeError):
        message = f"{file} holds no rank lists: make it by python -m metabin test --json {file}"
        raise ValueError(message) from None
    names = names_of_weights([Path(report["weights"]) for report in reports])
    use_style()
    drawn = []
    for name, of_targets in zip(names, lists, strict=True):
        for target, kept in of_targets.items():
            words = (file.stem, name, target) if len(reports) > 1 else (file.stem, target)
            stem = re.sub(r"[^\w.-]+", "_", "_".join(words))
            drawn.append(save(draw_kept_lists(kept), file.with_name(f"{stem}.png")))
    return drawn


def draw_kept_lists(kept: Sequence[Mapping]) -> plt.Figure:
    """A row for each query with its average precision, and cosines below its nearest pictures."""
    lists = {}
    for number, ranked in enumerate(kept, start=1):
        nearest = ranked["nearest"]
        images = torch.stack([read_kept(row) for row in nearest])  # (K, 3, H, W)
        right = torch.tensor([row["right"] for row in nearest])  # (K,)
        captions = ["", *(f"{row['cosine']:.2f}" for row in nearest)]
        label = f"query {number}\nAP {ranked['average_precision']:.0%}"
        lists[label] = read_kept(ranked["query"]), images, right, captions
    return draw_rank_lists(lists)


def read_kept(row: Mapping) -> Tensor:
    """The picture of a kept row, (3, H, W) uint8."""
    box = tuple(row["box"]) if "box" in row else None
    picture = Picture(Path(row["file"]), 0, 0, "gallery", box, row.get("inside"))
    return torch.tensor(decode(picture, SIZE))
