"""Fig. 3 and what can be said without it: distances, neighbours and planes of several networks on unseen streets.

A picture by t-SNE is one of many. So each is given with numbers of the space that it was made from, with how far its
neighbourhoods can be trusted, and with what other starts and perplexities would have shown.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import joblib
import torch
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import silhouette_samples
from torch import Tensor
from torch.nn import functional as F

from metabin.analysis.readings import read_linearly
from metabin.analysis.run import embed_in_plane
from metabin.data.images import ImageSet
from metabin.evaluate.intervals import bootstrap_interval, paired_interval
from metabin.evaluate.retrieval import extract_features
from metabin.networks.model import ReIDModel

QUANTITIES = (
    "own",
    "others",
    "ratio",
    "rank1",
    "person",
    "street",
    "purity",
)  # one value for each street
PERPLEXITIES = (5, 15, 30, 60)
SHOWN = (30, 15)  # perplexity of the picture of all streets, and of that of one
# Size letters: N pictures, Q queries, G gallery pictures, D feature channels.


def cosine_distances(features: Tensor) -> Tensor:
    """1 − cosine between all rows of features (N, D): (N, N) float64, 0 for equal directions, 1 at a right angle."""
    unit = F.normalize(features.double(), dim=1)  # (N, D)
    return (1 - unit @ unit.T).clamp(min=0)


def plane_distances(plane: Tensor) -> Tensor:
    """Euclidean distances between all points of a plane (N, 2): (N, N) float64."""
    return (plane.double()[:, None] - plane.double()).norm(dim=2)


def own_and_others(distance: Tensor, streets: ImageSet) -> dict[str, Tensor]:
    """How far each query lies from its own gallery pictures and from other people's on its street: means, (Q,) each.

    `distance` (N, N) is among the pictures of `streets`; queries are the first camera's, as in `query_gallery`. `ratio`
    is own / others: it doesn't change when all distances shrink alike. Raises ValueError where one of the two is missing.
    """
    query = streets.camids == streets.camids.min()  # (N,)
    away = distance[query][:, ~query]  # (Q, G)
    same = streets.pids[query, None] == streets.pids[~query]  # (Q, G)
    other = (streets.domains[query, None] == streets.domains[~query]) & ~same  # (Q, G)
    if not (same.any(1) & other.any(1)).all():
        raise ValueError(
            "each query needs gallery pictures of itself and of somebody else on its street"
        )
    own, others = ((away * chosen).sum(1) / chosen.sum(1) for chosen in (same, other))  # (Q,) each
    return {"own": own, "others": others, "ratio": own / others}


def nearest_is_right(distance: Tensor, streets: ImageSet) -> Tensor:
    """Whether the nearest of all gallery pictures shows the query's person, (Q,) float64; `distance` (N, N)."""
    query = streets.camids == streets.camids.min()  # (N,)
    nearest = distance[query][:, ~query].argmin(1)  # (Q,)
    return (streets.pids[~query][nearest] == streets.pids[query]).double()


def street_purity(distance: Tensor, streets: ImageSet, neighbours: int = 10) -> Tensor:
    """The share of each picture's nearest `neighbours` that come from its street, other people's pictures alone: (N,)."""
    strangers = distance.masked_fill(streets.pids[:, None] == streets.pids, torch.inf)  # (N, N)
    nearest = strangers.topk(neighbours, largest=False).indices  # (N, neighbours)
    return (streets.domains[nearest] == streets.domains[:, None]).double().mean(1)


def space_numbers(features: Tensor, streets: ImageSet) -> dict[str, list[float] | float]:
    """What features (N, D) say of `streets` without any picture: each of QUANTITIES for each street, and `probe`.

    own, others, ratio: `own_and_others` of cosine distances. rank1: the nearest gallery picture *on the street* is right.
    person, street: silhouettes (how much nearer one's own group is than the next one, −1 to 1). purity: `street_purity`.
    probe: how often a linear reader, fitted on every other person, names the street.
    """
    distance, numbers = cosine_distances(features), {name: [] for name in QUANTITIES}
    query = streets.camids == streets.camids.min()  # (N,)
    everywhere = own_and_others(distance, streets)
    apart = distance.masked_fill(streets.domains[:, None] != streets.domains, torch.inf)  # (N, N)
    by_query = everywhere | {"rank1": nearest_is_right(apart, streets)}
    table = distance.fill_diagonal_(0).numpy()  # (N, N)
    by_picture = {
        name: torch.from_numpy(
            silhouette_samples(table, labels.numpy(), metric="precomputed")
        ).double()
        for name, labels in {"person": streets.pids, "street": streets.domains}.items()
    }
    by_picture["purity"] = street_purity(distance, streets)
    for street in streets.domains.unique():
        here = streets.domains == street  # (N,)
        for name in QUANTITIES:
            values = by_query[name][here[query]] if name in by_query else by_picture[name][here]
            numbers[name].append(round(values.mean().item(), 6))
    return numbers | {
        "probe": round(read_linearly(features, streets.domains, streets.pids % 2 == 0), 6)
    }


def embed_from_random(features: Tensor, perplexity: float = 30.0, seed: int = 0) -> Tensor:
    """As `embed_in_plane`, but from a random start: there another seed gives another picture, (N, 2)."""
    unit = (
        F.normalize(features.float(), dim=1).cpu().numpy()
    )  # here Euclidean order is cosine order
    return torch.from_numpy(
        TSNE(perplexity=perplexity, init="random", random_state=seed).fit_transform(unit)
    )


def plane_scores(
    features: Tensor, plane: Tensor, streets: ImageSet, neighbours: int = 5
) -> dict[str, float]:
    """How far a plane (N, 2) can be trusted that was made from features (N, D).

    trust: scikit-learn's trustworthiness, 1 where all of a point's `neighbours` are near in space too. right: how often
    the nearest gallery picture in the plane is the right person's; right_space: in space. ratio: `own_and_others` in the plane.
    """
    unit = F.normalize(features.float(), dim=1).cpu().numpy()  # (N, D)
    there, space = plane_distances(plane), cosine_distances(features)  # (N, N) each
    found = {
        "trust": float(trustworthiness(unit, plane.numpy(), n_neighbors=neighbours)),
        "right": nearest_is_right(there, streets).mean().item(),
        "right_space": nearest_is_right(space, streets).mean().item(),
        "ratio": own_and_others(there, streets)["ratio"].mean().item(),
    }
    return {name: round(value, 6) for name, value in found.items()}


def first_people(streets: ImageSet, people: int) -> Tensor:
    """Which pictures show one of the first `people` people of each street, (N,) bool."""
    chosen = [
        streets.pids[streets.domains == d].unique()[:people] for d in streets.domains.unique()
    ]
    return torch.isin(streets.pids, torch.cat(chosen))


def picture(features: Mapping[str, Tensor], streets: ImageSet, perplexity: float) -> dict:
    """A plane for each network's features (N, D) of the same pictures, to be drawn by `draw_figure3`, and its scores."""
    planes = {
        m: (embed_in_plane(x, perplexity) * 100).round() / 100 for m, x in features.items()
    }  # (N, 2) each
    query = (streets.camids == streets.camids.min()).long()  # (N,)
    labels = {"pids": streets.pids, "streets": streets.domains, "query": query}
    return {
        "perplexity": perplexity,
        **{name: values.tolist() for name, values in labels.items()},
        "planes": {
            m: [[round(x, 2) for x in point] for point in plane.tolist()]
            for m, plane in planes.items()
        },
        "scores": {m: plane_scores(features[m], plane, streets) for m, plane in planes.items()},
    }


def sensitivity(
    features: Tensor, streets: ImageSet, perplexities: Sequence[float], starts: int
) -> dict:
    """`plane_scores` of other pictures of the same features: perplexity -> score -> one for each random start."""
    return {
        f"{perplexity:g}": _columns(
            [
                plane_scores(features, embed_from_random(features, perplexity, s), streets)
                for s in range(starts)
            ]
        )
        for perplexity in perplexities
    }


def _columns(rows: Sequence[Mapping]) -> dict[str, list]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def paired(numbers: Mapping[str, Mapping], ratios: Mapping[str, Tensor], pids: Tensor) -> dict:
    """Differences a − b of every two networks with 95 % intervals: pair -> quantity -> [mean, low, high].

    Over streets for each of QUANTITIES; "ratio, people" is over people, from each query's ratio (Q,) and its `pids` (Q,).
    Both are about *these* networks: another training may differ by more.
    """
    found = {}
    for a, b in combinations(numbers, 2):
        rows = {
            q: paired_interval([x - y for x, y in zip(numbers[a][q], numbers[b][q], strict=True)])
            for q in QUANTITIES
        }
        gap = ratios[a] - ratios[b]  # (Q,)
        rows["ratio, people"] = (gap.mean().item(), *bootstrap_interval(gap, pids))
        found[f"{a} - {b}"] = {q: [round(x, 6) for x in row] for q, row in rows.items()}
    return found


def study(
    networks: Mapping[str, Mapping[int, ReIDModel]],
    streets: ImageSet,
    starts: int = 5,
    jobs: int = 1,
    people: int = 12,
    perplexities: Sequence[float] = PERPLEXITIES,
    shown: tuple[float, float] = SHOWN,
) -> dict:
    """Everything of Fig. 3 as plain numbers: networks by method and percent of their training; the last is the finished one.

    `numbers` (method -> percent -> `space_numbers`) and `paired` are about all pictures of `streets`; `all_streets`,
    `one_street` (`picture`) and `sensitivity` about the first `people` of each street, and of the first street.
    """
    features = {
        m: {p: extract_features(net, streets) for p, net in moments.items()}
        for m, moments in networks.items()
    }
    last = {m: list(moments.values())[-1] for m, moments in features.items()}  # (N, D) each
    few = first_people(streets, people)  # (N,)
    one = few & (streets.domains == streets.domains.min())  # (N,)
    numbers = {
        m: {f"{p}": space_numbers(x, streets) for p, x in moments.items()}
        for m, moments in features.items()
    }
    ratios = {
        m: own_and_others(cosine_distances(x), streets)["ratio"] for m, x in last.items()
    }  # (Q,) each
    work = (
        joblib.delayed(sensitivity)(x[few], streets[few], perplexities, starts)
        for x in last.values()
    )
    return {
        "streets": [streets.names[d] for d in streets.domains.unique()],
        "numbers": numbers,
        "paired": paired(
            {m: list(row.values())[-1] for m, row in numbers.items()},
            ratios,
            streets.pids[streets.camids == streets.camids.min()],
        ),
        "all_streets": picture({m: x[few] for m, x in last.items()}, streets[few], shown[0]),
        "one_street": picture({m: x[one] for m, x in last.items()}, streets[one], shown[1]),
        "sensitivity": dict(zip(last, joblib.Parallel(n_jobs=jobs)(work), strict=True)),
    }


def tightest(report: Mapping) -> dict[str, int]:
    """In how many of the pictures of `sensitivity`, start by start, each network's people lie closest together."""
    table, wins = report["sensitivity"], dict.fromkeys(report["sensitivity"], 0)
    for perplexity, scores in next(iter(table.values())).items():
        for start in range(len(scores["ratio"])):
            wins[min(table, key=lambda m: table[m][perplexity]["ratio"][start])] += 1
    return wins


def figure3_text(report: Mapping) -> str:
    """The finished networks' numbers, means over streets, as a Markdown table; differences of ratios; the pictures' verdicts."""
    heads = (
        "own",
        "others",
        "own / others",
        "Rank-1",
        "silhouette: person",
        "street",
        "street purity",
    )
    lines = [f"| method | {' | '.join(heads)} | trust |", "| --- " * (len(heads) + 2) + "|"]
    for method, moments in report["numbers"].items():
        row = list(moments.values())[-1]
        cells = [f"{sum(row[q]) / len(row[q]):.3f}" for q in QUANTITIES]
        trust = report["all_streets"]["scores"][method]["trust"]
        lines.append(f"| {method} | {' | '.join(cells)} | {trust:.3f} |")
    lines.append("\nown / others, differences with 95 % intervals")
    for pair, rows in report["paired"].items():
        over = ("over streets", rows["ratio"]), ("over people", rows["ratio, people"])
        lines.append(
            f"{pair:16}"
            + "   ".join(
                f"{name} {m:+.3f} ({low:+.3f} to {high:+.3f})" for name, (m, low, high) in over
            )
        )
    wins = tightest(report)
    said = ", ".join(f"{method} {count}" for method, count in wins.items())
    return "\n".join([*lines, f"\ntightest in how many of {sum(wins.values())} pictures: {said}"])
