"""Fig. 3 and what can be said without it: distances, neighbours and planes on unseen streets.

A picture by t-SNE is one of many. So each comes with numbers of the space that it was made from,
with how far its neighbourhoods can be trusted, and with what other starts would have shown.
Size letters: N pictures, Q queries, G gallery pictures, D feature channels.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import joblib
import numpy as np
import torch
from sklearn.manifold import TSNE, trustworthiness
from torch import Tensor
from torch.nn import functional as F

from metabin.analysis.spaces import (
    QUANTITIES,
    cosine_distances,
    nearest_is_right,
    own_and_others,
    space_numbers,
)
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import bootstrap_interval, paired_interval
from metabin.evaluate.retrieval import extract_features
from metabin.networks.model import ReIDModel

PERPLEXITIES = (5, 15, 30, 60)
SHOWN = {"all_streets": 30, "one_street": 15}  # perplexities of the two pictures


def plane_distances(plane: Tensor) -> Tensor:
    """Euclidean distances between all points of a plane (N, 2): (N, N) float64."""
    return (plane.double()[:, None] - plane.double()).norm(dim=2)


def _unit(features: Tensor) -> np.ndarray:
    """Features of length 1: there Euclidean order is cosine order."""
    return F.normalize(features.float(), dim=1).cpu().numpy()


def embed_in_plane(
    features: Tensor, perplexity: float = 30.0, seed: int = 0, start: str = "pca"
) -> Tensor:
    """t-SNE by scikit-learn of features (N, D) under cosine distance, as in Fig. 3: (N, 2).

    It starts from principal components, so that the same features give the same picture; from a
    `start` at "random", another seed gives another. Raises ValueError unless the perplexity is
    below N.
    """
    if perplexity >= len(features):
        raise ValueError(
            f"perplexity={perplexity} must be below the number of points, {len(features)}"
        )
    tsne = TSNE(perplexity=perplexity, init=start, random_state=seed)
    return torch.from_numpy(tsne.fit_transform(_unit(features)))


def plane_scores(features: Tensor, plane: Tensor, streets: ImageSet) -> dict[str, float]:
    """How far a plane (N, 2) can be trusted that was made from features (N, D).

    trust: scikit-learn's trustworthiness, 1 where a point's nearest five are near in space too.
    right: how often the nearest gallery picture in the plane is the right person's; right_space: in
    space. ratio: `own_and_others` in the plane.
    """
    flat, space = plane_distances(plane), cosine_distances(features)  # (N, N) each
    scores = {
        "trust": float(trustworthiness(_unit(features), plane.numpy())),
        "right": nearest_is_right(flat, streets).mean().item(),
        "right_space": nearest_is_right(space, streets).mean().item(),
        "ratio": own_and_others(flat, streets)["ratio"].mean().item(),
    }
    return {name: round(value, 6) for name, value in scores.items()}


def first_people(streets: ImageSet, people: int) -> Tensor:
    """Which pictures show one of the first `people` people of each street, (N,) bool."""
    pids = [streets.pids[streets.domains == d].unique()[:people] for d in streets.domains.unique()]
    return torch.isin(streets.pids, torch.cat(pids))


def picture(features: Mapping[str, Tensor], streets: ImageSet, perplexity: float) -> dict:
    """A plane for each network's features (N, D) of the same pictures, and its scores."""
    planes, scores = {}, {}
    for method, x in features.items():
        plane = (embed_in_plane(x, perplexity) * 100).round() / 100  # (N, 2)
        scores[method] = plane_scores(x, plane, streets)
        planes[method] = plane.double().mul(100).round().div(100).tolist()
    return {
        "perplexity": perplexity,
        "pids": streets.pids.tolist(),
        "streets": streets.domains.tolist(),
        "query": (streets.camids == streets.camids.min()).long().tolist(),
        "planes": planes,
        "scores": scores,
    }


def both_pictures(features: Mapping[str, Tensor], streets: ImageSet, people: int) -> dict:
    """`picture` of the first people of every street, and of those of the first street alone."""
    few = first_people(streets, people)  # (N,)
    one = few & (streets.domains == streets.domains.min())  # (N,)
    pictures = {}
    for name, rows in {"all_streets": few, "one_street": one}.items():
        some = {method: x[rows] for method, x in features.items()}
        pictures[name] = picture(some, streets[rows], SHOWN[name])
    return pictures


def sensitivity(
    features: Tensor, streets: ImageSet, perplexities: Sequence[float], starts: int
) -> dict:
    """`plane_scores` of other pictures: perplexity -> score -> one for each random start."""
    scores = {}
    for perplexity in perplexities:
        columns = defaultdict(list)
        for seed in range(starts):
            plane = embed_in_plane(features, perplexity, seed, start="random")
            for name, score in plane_scores(features, plane, streets).items():
                columns[name].append(score)
        scores[f"{perplexity:g}"] = dict(columns)
    return scores


def tightest(report: Mapping) -> dict[str, int]:
    """In how many pictures of `sensitivity` each network's people lie closest together."""
    table = report["sensitivity"]
    wins = dict.fromkeys(table, 0)
    for perplexity, scores in next(iter(table.values())).items():
        for start in range(len(scores["ratio"])):
            ratios = {method: table[method][perplexity]["ratio"][start] for method in table}
            wins[min(ratios, key=ratios.get)] += 1
    return wins


# ---- networks ------------------------------------------------------------------------


def paired_networks(
    numbers: Mapping[str, Mapping], ratios: Mapping[str, Tensor], pids: Tensor
) -> dict:
    """Differences of every two networks with 95 % CI: "a - b" -> quantity -> [mean, low, high].

    Over streets for each of QUANTITIES; "ratio, people" is over people, from each query's ratio
    (Q,) and `pids` (Q,). Another training may differ by more.
    """
    differences = {}
    for a, b in combinations(numbers, 2):
        rows = {}
        for quantity in QUANTITIES:
            gap = np.subtract(numbers[a][quantity], numbers[b][quantity])
            rows[quantity] = paired_interval(gap)
        gap = ratios[a] - ratios[b]  # (Q,)
        rows["ratio, people"] = (gap.mean().item(), *bootstrap_interval(gap, pids))
        differences[f"{a} - {b}"] = {name: np.round(r, 6).tolist() for name, r in rows.items()}
    return differences


def changes_over_training(numbers: Mapping[str, Mapping], quantity: str) -> dict[str, tuple]:
    """How a quantity changes over streets from a training's first moment to its last, with 95 % CI.

    `numbers`: method -> percent -> `space_numbers`.
    """
    differences = {}
    for method, moments in numbers.items():
        first, *_, last = (row[quantity] for row in moments.values())
        differences[method] = paired_interval(np.subtract(last, first))
    return differences


def space_table(numbers: Mapping[str, Mapping], names: Mapping[str, str]) -> str:
    """`space_numbers` of each network as a Markdown table, means over streets; names by method."""
    heads = "| network | Rank-1 | purity | probe | silhouette: street | person |"
    lines = [heads, "| --- " * 6 + "|"]
    for method, row in numbers.items():
        rank1, purity, street, person = (
            np.mean(row[quantity]) for quantity in ("rank1", "purity", "street", "person")
        )
        shares = f"{rank1:.1%} | {purity:.1%} | {row['probe']:.1%}"
        lines.append(f"| {names[method]} | {shares} | {street:+.2f} | {person:+.2f} |")
    return "\n".join(lines)


def embedding_study(
    networks: Mapping[str, Mapping[int, ReIDModel]],
    streets: ImageSet,
    starts: int = 5,
    jobs: int = 1,
    people: int = 12,
    perplexities: Sequence[float] = PERPLEXITIES,
) -> dict:
    """Everything of Fig. 3 as plain numbers.

    `networks` by method and percent of their training, the finished one last. `numbers` (method ->
    percent -> `space_numbers`) and `paired` are about all pictures of `streets`; `all_streets`,
    `one_street` (`picture`) and `sensitivity` about the first `people` of each, and of the first.
    """
    numbers, ends, finished, ratios = {}, {}, {}, {}
    for method, moments in networks.items():
        numbers[method] = {}
        for percent, network in moments.items():
            features = extract_features(network, streets)  # (N, D)
            numbers[method][f"{percent}"] = space_numbers(features, streets)
        finished[method], ends[method] = features, numbers[method][f"{percent}"]
        ratios[method] = own_and_others(cosine_distances(features), streets)["ratio"]  # (Q,)
    few = first_people(streets, people)  # (N,)
    queries = streets.camids == streets.camids.min()  # (N,)
    work = []
    for features in finished.values():
        rows = features[few], streets[few]
        work.append(joblib.delayed(sensitivity)(*rows, perplexities, starts))
    return {
        "streets": [streets.names[d] for d in streets.domains.unique()],
        "numbers": numbers,
        "paired": paired_networks(ends, ratios, streets.pids[queries]),
        **both_pictures(finished, streets, people),
        "sensitivity": dict(zip(finished, joblib.Parallel(n_jobs=jobs or 1)(work), strict=True)),
    }
