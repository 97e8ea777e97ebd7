"""What lies behind a retrieval rate: rank lists, similarities of pairs, styles of streets, and other people's rates."""

import torch
from torch import Tensor
from torch.nn import functional as F

from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import retrieval
from metabin.streets import STYLE, STYLE_NAMES, Streets

# Size letters: N images, Q queries, G gallery images, K ranks, D feature channels, C cameras of all streets, S styles.


def similar_first(
    features: Tensor, queries: Tensor, images: ImageSet, count: int, camera_rule: bool = True
) -> tuple[Tensor, Tensor]:
    """The `count` images most similar to each query, best first, and which show its person: (Q, K) int64, (Q, K) bool.

    `features` (N, D) of length 1 are those of `images`, `queries` (Q,) are rows of them, everything on a query's own street
    is its gallery, but never the query itself. The camera rule drops all pictures of its person by its camera.
    Raises ValueError where a street has too few pictures.
    """
    others = images.domains[queries, None] == images.domains  # (Q, N)
    others &= queries[:, None] != torch.arange(len(images))
    same = images.pids[queries, None] == images.pids  # (Q, N)
    if camera_rule:
        others &= ~(same & (images.camids[queries, None] == images.camids))
    if others.sum(dim=1).min() < count:
        raise ValueError(
            f"a query has only {others.sum(dim=1).min()} gallery pictures, not {count}: ask for fewer"
        )
    scores = (features[queries] @ features.T).masked_fill(~others, -torch.inf)  # (Q, N)
    order = scores.topk(count).indices  # (Q, K)
    return order, same.gather(1, order)


def middle_query(features: Tensor, images: ImageSet) -> int:
    """Which picture is the query in the middle: as many have a higher average precision as have a lower.

    Everybody is looked for among all pictures of their own street, under the camera rule.
    """
    rows, precisions = [], []
    for domain in images.domains.unique():
        street = (images.domains == domain).nonzero().squeeze(1)  # (N of the street,)
        pids, camids, f = images.pids[street], images.camids[street], features[street]
        found = retrieval(f, f, pids, pids, camids, camids)
        rows.append(street[found.queries])
        precisions.append(found.ap)
    order = torch.cat(precisions).argsort(stable=True)  # (Q,)
    return torch.cat(rows)[order[len(order) // 2]].item()


def pair_similarities(features: Tensor, images: ImageSet) -> dict[str, Tensor]:
    """Cosines of all pairs of pictures on the same street, each pair once, by who and which camera they show."""
    unit = F.normalize(features.float())  # (N, D)
    pairs: dict[str, list[Tensor]] = {}
    for domain in images.domains.unique():
        rows = (images.domains == domain).nonzero().squeeze(1)  # (N of the street,)
        a, b = rows[torch.combinations(torch.arange(len(rows)))].unbind(1)  # (pairs,) each
        cosines, person = (
            (unit[rows] @ unit[rows].T)[torch.ones(len(rows), len(rows)).triu(1).bool()],
            images.pids,
        )
        for who, same in (
            ("same person", person[a] == person[b]),
            ("another person", person[a] != person[b]),
        ):
            for where, camera in (("same camera", True), ("another camera", False)):
                chosen = same & ((images.camids[a] == images.camids[b]) == camera)  # (pairs,)
                pairs.setdefault(f"{who}, {where}", []).append(cosines[chosen])
    return {kind: torch.cat(parts) for kind, parts in pairs.items()}


def chance_of_order(right: Tensor, wrong: Tensor) -> float:
    """How often a right pair (P,) is more similar than a wrong one (W,), over all pairs of both; a tie counts half."""
    levels = wrong.sort().values  # (W,)
    below = torch.searchsorted(levels, right) + torch.searchsorted(
        levels, right, right=True
    )  # (P,)
    return (below.double() / (2 * len(wrong))).mean().item()


def camera_styles(streets: Streets) -> tuple[list[tuple[int, int]], Tensor]:
    """Street and camera of each row, and what that camera does: (C, S) in spreads between streets, 0 is neutral.

    The columns are those of `STYLE`.
    """
    cameras = torch.stack([streets.domains, streets.camids], 1)  # (N, 2)
    keys, group = cameras.unique(dim=0, return_inverse=True)  # (C, 2), (N,)
    first = torch.stack([(group == number).nonzero()[0, 0] for number in range(len(keys))])  # (C,)
    neutral, spread = torch.tensor([(n, s) for n, s, *_ in STYLE.values()]).unbind(1)  # (S,) each
    columns = [STYLE_NAMES.index(name) for name in STYLE]
    return [tuple(key) for key in keys.tolist()], (
        streets.styles[first][:, columns] - neutral
    ) / spread


def centred_by_camera(features: Tensor, images: ImageSet) -> Tensor:
    """Features (N, D) minus the mean of their own street's own camera, of length 1 again."""
    centred = features.clone()
    for domain in images.domains.unique():
        for camera in images.camids.unique():
            rows = (images.domains == domain) & (images.camids == camera)  # (N,)
            if rows.any():
                centred[rows] -= features[rows].mean(0)
    return F.normalize(centred)


def rates_of_some(
    values: Tensor, pids: Tensor, people: int, num: int, generator: torch.Generator
) -> Tensor:
    """The mean of `values` (Q,) over the queries of so many people, drawn `num` times with replacement, (num,).

    Everybody must have as many queries as everybody else: ValueError.
    """
    _, counts = pids.unique(return_counts=True)
    if counts.min() != counts.max():
        raise ValueError(
            f"people have {counts.min()} to {counts.max()} queries: their rates can't be averaged as equals"
        )
    by_person = (
        values.double()[pids.argsort(stable=True)].view(len(counts), -1).mean(1)
    )  # (people there are,)
    return by_person[torch.randint(len(counts), (num, people), generator=generator)].mean(1)
