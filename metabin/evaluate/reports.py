"""What a model is worth under a protocol: rates with intervals, comparisons, which checkpoint.

    protocol = open_protocol("no_duke", "~/reid", cache="build/cache")
    evaluate_protocol(model, protocol)["average"]["rank1"]      # {"mean": …, "low": …, "high": …}

All rates are fractions. Everything that is returned can be written as JSON.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metabin.datasets.protocols import OpenProtocol, Target
from metabin.evaluate.intervals import bootstrap_means, paired_values, percentiles
from metabin.evaluate.retrieval import METRICS, Retrieval, extract_features, retrieval

Retrievals = Mapping[str, Sequence[Retrieval]]  # target -> one retrieval per split
# Size letters: N pictures, Q queries, S splits, R resamples, T targets.


def retrieve(model: nn.Module, target: Target, batch_size: int = 256) -> list[Retrieval]:
    """Search every split of a target; each picture's feature is computed once."""
    return search(target_features(model, target, batch_size), target)


def target_features(model: nn.Module, target: Target, batch_size: int = 256) -> Tensor:
    """Features of length 1 of a target's pictures on the model's device, (N, D)."""
    features = extract_features(model, target.images, batch_size)
    return features.to(next(iter(model.parameters()), features).device)


def search(features: Tensor, target: Target) -> list[Retrieval]:
    """Search every split of a target by its pictures' features (N, D)."""
    images, retrievals = target.images, []
    for split in target.splits:
        query, gallery = torch.tensor(split.query), torch.tensor(split.gallery)
        result = retrieval(
            features[query.to(features.device)],
            features[gallery.to(features.device)],
            images.pids[query],
            images.pids[gallery],
            images.camids[query],
            images.camids[gallery],
        )
        retrievals.append(result)
    return retrievals


def evaluate_protocol(model: nn.Module, protocol: OpenProtocol, batch_size: int = 256) -> dict:
    """Search all targets of a protocol and report: `protocol_report`."""
    tests = protocol.tests.items()
    retrievals = {name: retrieve(model, target, batch_size) for name, target in tests}
    return protocol_report(protocol, retrievals)


def protocol_report(protocol: OpenProtocol, retrievals: Retrievals) -> dict:
    """Rates per target and on average, with what was learnt from and which sets were missing.

    A target has the mean and standard deviation over splits with a 95 % interval over persons; a
    person who is tested in several splits is drawn with all of them. A target where one person
    alone has a match is added to the missing ones. Raises ValueError when there is no other.
    """
    name = protocol.run.protocol
    generator = torch.Generator().manual_seed(0)
    targets, samples = {}, {metric: [] for metric in METRICS}
    for target, splits in retrievals.items():
        pids = torch.cat([result.pids for result in splits])  # (Q,)
        if len(pids.unique()) == 1:
            protocol.missing[target] = (
                "one person alone of the query has a match, and an interval over people needs two"
            )
            continue
        targets[target] = {
            "splits": len(splits),
            "split_origin": protocol.tests[target].origin,
            "camera_rule": protocol.tests[target].camera_rule,
            "queries": len(pids),
            "unmatched_queries": sum(result.num_unmatched for result in splits),
        }
        for metric in METRICS:
            values = [result.values(metric).double() for result in splits]
            rates = torch.stack([v.mean() for v in values])  # (S,)
            means = bootstrap_means(torch.cat(values), pids, generator=generator)  # (R,)
            std = rates.std().item() if len(rates) > 1 else None
            targets[target][metric] = with_interval(rates.mean(), means) | {"std": std}
            samples[metric].append(means)
    if not targets:
        raise ValueError(f"there is no target to test on. {protocol.why_missing}")
    average = {metric: average_of(targets, metric, samples[metric]) for metric in METRICS}
    sources = {s.name: {"ids": len(s.ids), "images": len(s)} for s in protocol.sources}
    return {
        "protocol": name,
        "sources": sources,
        "missing": dict(protocol.missing),
        "remarks": list(protocol.remarks),
        "held_out": {name: target.origin for name, target in protocol.validation.items()},
        "targets": targets,
        "average": average,
    }


def with_interval(mean: Tensor, resampled: Tensor) -> dict[str, float]:
    low, high = percentiles(resampled)
    return {"mean": mean.item(), "low": low, "high": high}


def average_of(targets: dict, metric: str | None, resampled: Sequence[Tensor]) -> dict[str, float]:
    """The mean over targets of a metric, or of the targets themselves; `resampled` T times (R,)."""
    rows = [target[metric] if metric else target for target in targets.values()]
    mean = torch.tensor([row["mean"] for row in rows], dtype=torch.float64).mean()
    return with_interval(mean, torch.stack(resampled).mean(dim=0))


def compare_retrievals(a: Retrievals, b: Retrievals, metric: str = "mAP") -> dict:
    """a − b on the same queries, per target and on average, with 95 % intervals over persons.

    `splits_ahead` counts the splits that a wins. Raises ValueError when targets or queries differ.
    """
    if a.keys() != b.keys() or not a:
        raise ValueError(f"a comparison needs the same targets, got {sorted(a)} and {sorted(b)}")
    generator = torch.Generator().manual_seed(0)
    targets, samples = {}, []
    for name in a:
        pairs = list(zip(a[name], b[name], strict=True))
        values = [paired_values(*pair, metric).double() for pair in pairs]
        means = torch.stack([v.mean() for v in values])  # (S,)
        pids = torch.cat([pair[0].pids for pair in pairs])  # (Q,)
        samples.append(bootstrap_means(torch.cat(values), pids, generator=generator))  # (R,)
        ahead = {"splits": len(means), "splits_ahead": int((means > 0).sum())}
        targets[name] = with_interval(means.mean(), samples[-1]) | ahead
    return {"metric": metric, "targets": targets, "average": average_of(targets, None, samples)}


def validate(model: nn.Module, protocol: OpenProtocol, batch_size: int = 256) -> float:
    """Mean average precision on the source persons that were held out, averaged over sources.

    Raises ValueError when none were: open the protocol with `held_out`.
    """
    if not protocol.validation:
        raise ValueError(
            "no identities were held out to choose a model by: open_protocol(…, held_out=…)"
        )
    targets = protocol.validation.values()
    rates = [retrieve(model, target, batch_size)[0].mAP for target in targets]
    return sum(rates) / len(rates)


class Candidate(NamedTuple):
    """A checkpoint of a run with its score on held-out source persons and on the target."""

    checkpoint: str
    validation: float
    target: float


def choose_checkpoints(candidates: Sequence[Candidate]) -> list[dict]:
    """Three rules for which checkpoint to report; `candidates` in the order of training.

    The best on the target is an oracle: it has seen the answers, so its score may not be claimed.
    Raises ValueError when there is no candidate.
    """
    if not candidates:
        raise ValueError("there is no checkpoint to choose from")
    rules = {
        "last": candidates[-1],
        "best on held-out source identities": max(candidates, key=lambda c: c.validation),
        "best on the target (oracle)": max(candidates, key=lambda c: c.target),
    }
    rows = []
    for rule, chosen in rules.items():
        row = {"rule": rule, **chosen._asdict(), "may_be_claimed": "oracle" not in rule}
        rows.append(row)
    return rows
