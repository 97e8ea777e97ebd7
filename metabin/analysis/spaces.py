"""What the space of a network's features says: distances and neighbours on unseen streets.

Size letters: N pictures, Q queries, G gallery pictures, D feature channels.
"""

import torch
from sklearn.metrics import silhouette_samples
from torch import Tensor
from torch.nn import functional as F

from metabin.analysis.readings import read_linearly
from metabin.data.images import ImageSet

# One number for each street
QUANTITIES = ("own", "others", "ratio", "rank1", "person", "street", "purity")


def cosine_distances(features: Tensor) -> Tensor:
    """1 − cosine between all rows of features (N, D): (N, N) float64, 1 at a right angle."""
    unit = F.normalize(features.double(), dim=1)  # (N, D)
    return (1 - unit @ unit.T).clamp(min=0)


def own_and_others(distance: Tensor, streets: ImageSet) -> dict[str, Tensor]:
    """How far each query lies from its own and from others' gallery pictures: means, (Q,) each.

    `distance` (N, N) is among the pictures of `streets`; queries are the first camera's; others are
    on the query's street. `ratio`, own / others, doesn't change when all distances shrink alike.
    Raises ValueError where one of the two is missing.
    """
    query = streets.camids == streets.camids.min()  # (N,)
    away = distance[query][:, ~query]  # (Q, G)
    same = streets.pids[query, None] == streets.pids[~query]  # (Q, G)
    other = (streets.domains[query, None] == streets.domains[~query]) & ~same  # (Q, G)
    if not (same.any(1) & other.any(1)).all():
        raise ValueError(
            "each query needs gallery pictures of itself and of somebody else on its street"
        )
    own = (away * same).sum(1) / same.sum(1)  # (Q,)
    others = (away * other).sum(1) / other.sum(1)  # (Q,)
    return {"own": own, "others": others, "ratio": own / others}


def nearest_is_right(distance: Tensor, streets: ImageSet) -> Tensor:
    """Whether the nearest gallery picture shows the query's person, (Q,) float64."""
    query = streets.camids == streets.camids.min()  # (N,)
    nearest = distance[query][:, ~query].argmin(1)  # (Q,)
    return (streets.pids[~query][nearest] == streets.pids[query]).double()


def street_purity(distance: Tensor, streets: ImageSet) -> Tensor:
    """The share of the ten nearest pictures of other people that come from one's street, (N,)."""
    same = streets.pids[:, None] == streets.pids  # (N, N)
    strangers = distance.masked_fill(same, torch.inf)  # (N, N)
    nearest = strangers.topk(10, largest=False).indices  # (N, 10)
    return (streets.domains[nearest] == streets.domains[:, None]).double().mean(1)


def space_numbers(features: Tensor, streets: ImageSet) -> dict[str, list[float] | float]:
    """What features (N, D) say of `streets`: each of QUANTITIES for each street, and `probe`.

    own, others, ratio: `own_and_others` of cosine distances. rank1: the nearest gallery picture *on
    the street* is right. person, street: silhouettes, −1 to 1. purity: `street_purity`. probe: how
    often a linear reader, fitted on every other person, names the street.
    """
    distance = cosine_distances(features)  # (N, N)
    query = streets.camids == streets.camids.min()  # (N,)
    elsewhere = streets.domains[:, None] != streets.domains  # (N, N)
    by_query = own_and_others(distance, streets)  # (Q,) each
    by_query["rank1"] = nearest_is_right(distance.masked_fill(elsewhere, torch.inf), streets)
    distance.fill_diagonal_(0)
    by_picture = {  # (N,) each
        "person": _silhouettes(distance, streets.pids),
        "street": _silhouettes(distance, streets.domains),
        "purity": street_purity(distance, streets),
    }
    numbers = {name: [] for name in QUANTITIES}
    for street in streets.domains.unique():
        here = streets.domains == street  # (N,)
        values = {name: x[here[query]] for name, x in by_query.items()}
        values |= {name: x[here] for name, x in by_picture.items()}
        for name in QUANTITIES:
            numbers[name].append(round(values[name].mean().item(), 6))
    probe = read_linearly(features, streets.domains, streets.pids % 2 == 0)
    return numbers | {"probe": round(probe, 6)}


def _silhouettes(distance: Tensor, labels: Tensor) -> Tensor:
    values = silhouette_samples(distance.numpy(), labels.numpy(), metric="precomputed")  # (N,)
    return torch.from_numpy(values).double()
