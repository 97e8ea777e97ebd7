"""What lies behind a retrieval rate: rank lists, pairs, styles, other people's rates.

Size letters: N images, Q queries, G gallery images, K ranks, D feature channels, C cameras of all
streets, S styles.
"""

import torch
from scipy.stats import mannwhitneyu
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
    are rows of them. A query's gallery is its street without itself and, by the camera rule,
    without its person's pictures by its camera. Raises ValueError where a street has too few
    pictures.
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
    """Which picture is the median query by average precision, on its street by the camera rule."""
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
    """Cosines of all pairs of pictures on the same street, by who and which camera they show."""
    unit = F.normalize(features.float())  # (N, D)
    first, second = torch.ones(len(unit), len(unit)).triu(1).nonzero(as_tuple=True)  # (pairs,)
    street = images.domains[first] == images.domains[second]  # (pairs,)
    first, second = first[street], second[street]
    cosines = (unit @ unit.T)[first, second]  # (pairs,)
    person = images.pids[first] == images.pids[second]  # (pairs,)
    camera = images.camids[first] == images.camids[second]  # (pairs,)
    return {
        "same person, same camera": cosines[person & camera],
        "same person, another camera": cosines[person & ~camera],
        "another person, same camera": cosines[~person & camera],
        "another person, another camera": cosines[~person & ~camera],
    }


def chance_of_order(right: Tensor, wrong: Tensor) -> float:
    """How often a right pair (P,) is more similar than a wrong one (W,); a tie counts half."""
    return float(mannwhitneyu(right.double(), wrong.double()).statistic / (len(right) * len(wrong)))


def camera_styles(streets: Streets) -> tuple[list[tuple[int, int]], Tensor]:
    """Street and camera of each row, and what that camera does, (C, S).

    In spreads between streets, 0 is neutral; columns as in `STYLE`.
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
    """Means of `values` (Q,) over the queries of so many people, drawn with replacement: (num,).

    Raises ValueError where somebody has fewer queries than somebody else.
    """
    _, counts = pids.unique(return_counts=True)
    if counts.min() != counts.max():
        most = f"{counts.min()} to {counts.max()} queries"
        raise ValueError(f"people have {most}: their rates can't be averaged as equals")
    in_order = values.double()[pids.argsort(stable=True)]
    by_person = in_order.view(len(counts), -1).mean(1)  # (people,)
    drawn = torch.randint(len(counts), (num, people), generator=generator)
    return by_person[drawn].mean(1)
