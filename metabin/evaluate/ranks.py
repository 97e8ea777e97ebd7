"""Rank lists that can be kept with a report and drawn from it."""

import torch
from torch import Tensor

from metabin.datasets.listing import Picture
from metabin.datasets.protocols import Target
from metabin.evaluate.retrieval import Retrieval

QUERIES, LENGTH = 6, 8  # of a target


def rank_lists(features: Tensor, target: Target, result: Retrieval) -> list[dict]:
    """The gallery's nearest pictures of some queries, from the worst average precision to the best.

    `features` (N, D) of length 1 are the target's, `result` is that of its first split. What the
    camera rule leaves out of a query's gallery is left out here. Can be written as JSON.
    """
    order = result.ap.argsort(stable=True)  # (Q,)
    places = torch.linspace(0, len(order) - 1, min(QUERIES, len(order))).round().long()
    return [rank_list(features, target, result, place) for place in order[places].tolist()]


def rank_list(features: Tensor, target: Target, result: Retrieval, place: int) -> dict:
    """One query, the one at `place` of the result, with its nearest pictures."""
    split, images = target.splits[0], target.images
    query, gallery = split.query[result.queries[place]], torch.tensor(split.gallery)  # (G,)
    right = images.pids[gallery] == images.pids[query]  # (G,)
    dropped = right & (images.camids[gallery] == images.camids[query])  # (G,)
    scores = features[gallery] @ features[query]  # (G,)
    kept = scores.cpu().masked_fill(dropped, -torch.inf)
    nearest = kept.topk(min(LENGTH, int((~dropped).sum()))).indices.tolist()
    pictures = target.listing.pictures
    rows = []
    for k in nearest:
        row = {"right": bool(right[k]), "cosine": round(kept[k].item(), 4)}
        rows.append(where(pictures[split.gallery[k]]) | row)
    precision = round(result.ap[place].item(), 4)
    return {"query": where(pictures[query]), "average_precision": precision, "nearest": rows}


def where(picture: Picture) -> dict:
    """Where a picture lies: its file, and the place within it."""
    row = {"file": str(picture.file), "inside": picture.inside, "box": picture.box}
    return {name: value for name, value in row.items() if value is not None}
