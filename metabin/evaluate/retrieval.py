"""Person retrieval: features, CMC, mAP and mINP under the camera rule."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.data.augment import normalize
from metabin.data.images import ImageSet

METRICS = ("rank1", "rank5", "rank10", "mAP", "mINP")  # reported, of all `Retrieval.values` knows
CHUNK = 256  # queries that are ranked at a time
SAME_CAMERA = (
    "no query has a match from another camera: {} queries have one from their own camera, which "
    "the camera rule leaves out. Give each picture its camera's number, or give no camera numbers"
)
NOBODY = (
    "no query has a match in the gallery: they have no person in common. Do both use the same "
    "identity numbers?"
)
Device = torch.device | str | None
# Size letters: Q queries, G gallery images, D feature channels, M matches of a query, K ranks.


@dataclass(frozen=True, eq=False, repr=False)
class Retrieval:
    """The ranks of each query that has a match; rates are fractions, only `repr` prints percent.

    Ties are averaged over all orders: CMC is the expectation over a random order of equal scores,
    and AP and INP take equal scores as one threshold, as scikit-learn does. AP is the mean
    precision at the matches, not interpolated.
    """

    queries: Tensor  # (Q,) which of the given queries these are
    pids: Tensor  # (Q,)
    ap: Tensor  # (Q,) average precision
    inp: Tensor  # (Q,) inverse negative penalty: precision at the last match
    ahead: Tensor  # (Q,) wrong images that score higher than the best match
    tied_wrong: Tensor  # (Q,) wrong images that score the same as the best match
    tied_matches: Tensor  # (Q,) matches that score the same as the best match, itself included
    num_unmatched: int  # queries without a match, left out of everything above

    @property
    def first_hit(self) -> Tensor:
        """Expected rank of the first match, from 1, (Q,)."""
        tied = self.tied_wrong + self.tied_matches
        return self.ahead + (tied + 1) / (self.tied_matches.double() + 1)

    def hits(self, max_rank: int) -> Tensor:
        """Chance of a match among the first 1, 2, …, `max_rank` images, (Q, K); 0 or 1 untied."""
        drawn = torch.arange(max_rank) - self.ahead[:, None]  # (Q, K) tied images drawn before
        wrong_left = (self.tied_wrong[:, None] - drawn).clamp(min=0)  # (Q, K)
        left = (wrong_left + self.tied_matches[:, None]).double()  # (Q, K)
        miss = torch.where(drawn < 0, 1.0, wrong_left / left)  # (Q, K) chance to draw a wrong one
        return 1 - miss.cumprod(dim=1)

    def values(self, metric: str) -> Tensor:
        """One value per query of "mAP", "mINP" or "rank1", "rank5", "rank10", …, (Q,)."""
        if metric in ("mAP", "mINP"):
            return self.ap if metric == "mAP" else self.inp
        k = metric.removeprefix("rank")
        if k == metric or not k.isdecimal() or int(k) < 1:
            raise ValueError(
                f'unknown metric {metric!r}: choose "mAP", "mINP" or "rank1", "rank5", "rank10", …'
            )
        return self.hits(int(k))[:, -1]

    def rank(self, k: int) -> float:
        """Share of queries with a match among the first k images."""
        return self.values(f"rank{k}").mean().item()

    @property
    def rank1(self) -> float:
        return self.rank(1)

    @property
    def mAP(self) -> float:
        return self.ap.mean().item()

    @property
    def mINP(self) -> float:
        return self.inp.mean().item()

    def __repr__(self) -> str:
        rates = [f"Rank-{k} {self.rank(k):.1%}" for k in (1, 5, 10)]
        rates += [f"mAP {self.mAP:.1%}", f"mINP {self.mINP:.1%}"]
        text = (
            f"{', '.join(rates)}; {len(self.pids)} queries of {len(self.pids.unique())} identities"
        )
        if self.num_unmatched:
            text += f"; left out: {self.num_unmatched} queries without a match"
        return f"Retrieval({text})"


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the block; afterwards every module is again in the mode it was in."""
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


def device_of(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def extract_features(
    model: nn.Module, images: ImageSet, batch_size: int = 256, device: Device = None
) -> Tensor:
    """Features of length 1 from `model.embed`, (N, D) float32 on the CPU.

    They are computed on `device`, the model's where none is named.
    """
    if len(images.images) == 0:
        raise ValueError("cannot extract features: the image set is empty")
    device = device_of(model) if device is None else device
    features = []
    with eval_mode(model), torch.inference_mode():
        for batch in images.images.split(batch_size):
            features.append(F.normalize(model.embed(normalize(batch.to(device))).float()))
    return torch.cat(features).cpu()  # joined outside inference mode: a probe can be trained on it


def evaluate(
    model: nn.Module, query: ImageSet, gallery: ImageSet, batch_size: int = 256
) -> Retrieval:
    """Extract features of both sets on the model's device and retrieve under the camera rule."""
    device = device_of(model)
    query_features = extract_features(model, query, batch_size).to(device)
    gallery_features = extract_features(model, gallery, batch_size).to(device)
    labels = query.pids, gallery.pids, query.camids, gallery.camids
    return retrieval(query_features, gallery_features, *labels)


def retrieval(
    query_features: Tensor,
    gallery_features: Tensor,
    query_pids: Tensor,
    gallery_pids: Tensor,
    query_camids: Tensor | None = None,
    gallery_camids: Tensor | None = None,
) -> Retrieval:
    """Rank the gallery by cosine similarity for every query.

    With camera numbers, a query's gallery leaves out its identity's images from its own camera
    (Market-1501's rule). Runs on the device of `query_features`.
    Raises ValueError on shapes that do not fit, features that are not finite, and without a match.
    """
    if (query_camids is None) != (gallery_camids is None):
        raise ValueError(
            "the camera rule needs the camera numbers of both, query_camids and gallery_camids"
        )
    shapes = tuple(query_features.shape), tuple(gallery_features.shape)
    if shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            f"query features {shapes[0]} and gallery features {shapes[1]} must have the same length"
        )
    device = query_features.device
    query_pids, query_camids = _labels("query", query_features, query_pids, query_camids, device)
    gallery_pids, gallery_camids = _labels(
        "gallery", gallery_features, gallery_pids, gallery_camids, device
    )
    query = _unit("query", query_features, device)  # (Q, D)
    gallery = _unit("gallery", gallery_features, device)  # (G, D)

    queries, results = [], []
    for index in torch.arange(len(query), device=device).split(CHUNK):
        matches = query_pids[index, None] == gallery_pids  # (Q, G)
        dropped = matches & (query_camids[index, None] == gallery_camids)  # (Q, G)
        matches &= ~dropped
        matched = matches.any(dim=1)  # (Q,)
        queries.append(index[matched])
        if len(queries[-1]):
            scores = query[queries[-1]] @ gallery.T  # (Q, G)
            scores = scores.masked_fill_(dropped[matched], -torch.inf)
            results.append(_rank_matches(scores, matches[matched]))
    if not results:
        same_camera = int(torch.isin(query_pids, gallery_pids).sum())
        raise ValueError(SAME_CAMERA.format(same_camera) if same_camera else NOBODY)
    queries = torch.cat(queries)  # (Q,)
    columns = [torch.cat(column).cpu() for column in zip(*results, strict=True)]
    return Retrieval(
        queries.cpu(), query_pids[queries].cpu(), *columns, num_unmatched=len(query) - len(queries)
    )


def _labels(
    role: str, features: Tensor, pids: Tensor, camids: Tensor | None, device: Device
) -> list[Tensor]:
    """Identities and cameras on `device`, checked; without cameras, two that nobody shares."""
    if features.ndim != 2 or not len(features):
        raise ValueError(
            f"{role} features must be (N, D) with at least one row, not {tuple(features.shape)}"
        )
    if camids is None:
        camids = torch.full((len(features),), {"query": 0, "gallery": 1}[role])
    labels = [torch.as_tensor(values, device=device) for values in (pids, camids)]
    for name, values in zip(("pids", "camids"), labels, strict=True):
        if values.shape != features.shape[:1]:
            raise ValueError(
                f"{role} {name} must be ({len(features)},), one for each feature, not "
                f"{tuple(values.shape)}"
            )
    return labels


def _unit(role: str, features: Tensor, device: Device) -> Tensor:
    """Rows of length 1 in float64, rounded to multiples of 2^-26.

    Products of two such numbers and all their partial sums fit a float64 without rounding. So a
    score does not depend on chunk, order, threads or device, and equal features tie exactly: a
    collapsed model cannot win by rounding errors.
    """
    if not features.isfinite().all():
        raise ValueError(f"{role} features hold NaN or infinity: did the training diverge?")
    unit = features.detach().to(device, torch.float64, copy=True)  # (N, D)
    unit /= torch.linalg.vector_norm(unit, dim=1, keepdim=True).clamp(min=1e-30)
    return unit.mul_(2**26).round_().mul_(2**-26)


def _rank_matches(scores: Tensor, matches: Tensor) -> tuple[Tensor, ...]:
    """AP, INP, and who stands at and before the best match, without a full sort.

    `scores` and `matches` are (Q, G); returns five times (Q,).
    """
    count = matches.sum(dim=1, keepdim=True)  # (Q, 1)
    wrong_last = scores.masked_fill(~matches, torch.inf)  # (Q, G)
    # (Q, M) the matches' scores ascending, then +inf
    levels = wrong_last.topk(int(count.max()), largest=False).values
    # (Q, G) how many of the levels each image reaches
    reached = torch.searchsorted(levels, scores, right=True)
    histogram = count.new_zeros(len(levels), levels.shape[1] + 1)  # (Q, M + 1)
    histogram.scatter_add_(1, reached, count.new_ones(1, 1).expand_as(reached))
    # (Q, M) images that score at least this level
    images = histogram.flip(1).cumsum(dim=1).flip(1)[:, 1:]
    right = count - torch.searchsorted(levels, levels)  # (Q, M) matches among them, 0 at +inf
    precision = right.double() / images.clamp(min=1)  # (Q, M)

    best = count - 1  # (Q, 1) index of the highest level
    tied_matches = right.gather(1, best).squeeze(1)  # (Q,)
    ahead = (scores > levels.gather(1, best)).sum(dim=1)  # (Q,)
    tied_wrong = images.gather(1, best).squeeze(1) - tied_matches - ahead  # (Q,)
    return precision.sum(dim=1) / count.squeeze(1), precision[:, 0], ahead, tied_wrong, tied_matches
