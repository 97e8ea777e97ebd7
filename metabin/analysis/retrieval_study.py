"""What lies behind a retrieval rate: rank lists, pairs, styles, other people's rates.

Size letters: N images, Q queries, G gallery images, K ranks, D feature channels, C cameras of all
streets, S styles.
"""

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import functional as F

from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import retrieval
from metabin.streets import STYLE, STYLE_NAMES, Streets


def similar_first(
    features: Tensor, queries: Tensor, images: ImageSet, count: int, camera_rule: bool = True
) -> tuple[Tensor, Tensor]:
    """The `count` images most similar to each query, best first, and which show its person.

    (Q, K) int64, (Q, K) bool. `features` (N, D) of length 1 are those of `images`, `queries` (Q,)
    are rows of them; everything on a query's own street is its gallery, but never the query itself.
    The camera rule drops all pictures of its person by its camera. Raises ValueError where a street
    has too few pictures.
    """
    others = images.domains[queries, None] == images.domains  # (Q, N)
    others &= queries[:, None] != torch.arange(len(images))
    same = images.pids[queries, None] == images.pids  # (Q, N)
    if camera_rule:
        others &= ~(same & (images.camids[queries, None] == images.camids))
    fewest = others.sum(dim=1).min()
    if fewest < count:
        raise ValueError(f"a query has only {fewest} gallery pictures, not {count}: ask for fewer")
    scores = (features[queries] @ features.T).masked_fill(~others, -torch.inf)  # (Q, N)
    order = scores.topk(count).indices  # (Q, K)
    return order, same.gather(1, order)


def middle_query(features: Tensor, images: ImageSet) -> int:
    """Which picture is the median query by average precision.

    Everybody is looked for among all pictures of their own street, under the camera rule.
    """
    rows, precisions = [], []
    for domain in images.domains.unique():
        street = (images.domains == domain).nonzero().squeeze(1)  # (N of the street,)
        pids, camids, f = images.pids[street], images.camids[street], features[street]
        result = retrieval(f, f, pids, pids, camids, camids)
        rows.append(street[result.queries])
        precisions.append(result.ap)
    order = torch.cat(precisions).argsort(stable=True)  # (Q,)
    return torch.cat(rows)[order[len(order) // 2]].item()


def pair_similarities(features: Tensor, images: ImageSet) -> dict[str, Tensor]:
    """Cosines of all pairs of pictures on the same street, each pair once.

    By who and which camera they show.
    """
    unit = F.normalize(features.float())  # (N, D)
    kinds = defaultdict(list)
    for domain in images.domains.unique():
        rows = (images.domains == domain).nonzero().squeeze(1)  # (N of the street,)
        first, second = torch.combinations(torch.arange(len(rows))).unbind(1)  # (pairs,) each
        a, b = rows[first], rows[second]
        cosines = (unit[rows] @ unit[rows].T)[first, second]  # (pairs,)
        person = images.pids[a] == images.pids[b]  # (pairs,)
        camera = images.camids[a] == images.camids[b]  # (pairs,)
        kinds["same person, same camera"].append(cosines[person & camera])
        kinds["same person, another camera"].append(cosines[person & ~camera])
        kinds["another person, same camera"].append(cosines[~person & camera])
        kinds["another person, another camera"].append(cosines[~person & ~camera])
    return {kind: torch.cat(parts) for kind, parts in kinds.items()}


def chance_of_order(right: Tensor, wrong: Tensor) -> float:
    """How often a right pair (P,) is more similar than a wrong one (W,); a tie counts half."""
    levels = wrong.sort().values  # (W,)
    below = torch.searchsorted(levels, right)  # (P,)
    not_above = torch.searchsorted(levels, right, right=True)  # (P,)
    return ((below + not_above).double() / (2 * len(wrong))).mean().item()


def camera_styles(streets: Streets) -> tuple[list[tuple[int, int]], Tensor]:
    """Street and camera of each row, and what that camera does, (C, S).

    In spreads between streets, 0 is neutral. The columns are those of `STYLE`.
    """
    cameras = torch.stack([streets.domains, streets.camids], 1)  # (N, 2)
    keys, group = cameras.unique(dim=0, return_inverse=True)  # (C, 2), (N,)
    first = torch.stack([(group == number).nonzero()[0, 0] for number in range(len(keys))])  # (C,)
    neutral, spread = torch.tensor([style[:2] for style in STYLE.values()]).unbind(1)  # (S,) each
    columns = [STYLE_NAMES.index(name) for name in STYLE]
    styles = (streets.styles[first][:, columns] - neutral) / spread
    return [tuple(key) for key in keys.tolist()], styles


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
    """The mean of `values` (Q,) over the queries of so many people, (num,).

    People are drawn `num` times with replacement. Raises ValueError where somebody has fewer
    queries than somebody else.
    """
    _, counts = pids.unique(return_counts=True)
    if counts.min() != counts.max():
        raise ValueError(
            f"people have {counts.min()} to {counts.max()} queries: "
            "their rates can't be averaged as equals"
        )
    by_person = values.double()[pids.argsort(stable=True)].view(
        len(counts), -1
    )  # (people, queries)
    drawn = torch.randint(len(counts), (num, people), generator=generator)
    return by_person.mean(1)[drawn].mean(1)
