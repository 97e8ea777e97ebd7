"""What a model is worth under a protocol: rates with their uncertainty, comparisons, and which checkpoint to report.

    experiment = open_protocol("no_duke", "~/reid", cache="build/cache")
    evaluate_protocol(model, experiment)["average"]["rank1"]          # {"mean": …, "low": …, "high": …}

All rates are fractions. Everything that is returned can be written as JSON.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metabin.datasets.protocols import PROTOCOLS, Experiment, Target, open_protocol
from metabin.evaluate.intervals import bootstrap_means, paired_interval, paired_values, percentiles
from metabin.evaluate.retrieval import METRICS, Retrieval, extract_features, retrieval

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Candidate",
    "Experiment",
    "Target",
    "compare",
    "evaluate_protocol",
    "open_protocol",
    "over_seeds",
    "report",
    "retrieve",
    "select",
    "validate",
]
Found = Mapping[str, Sequence[Retrieval]]  # target -> one retrieval per split
# Size letters: Q queries, S splits, R resamples, T targets.


def retrieve(model: nn.Module, target: Target, batch_size: int = 256) -> list[Retrieval]:
    """Search every split of a target; each picture's feature is computed once."""
    images = target.images
    features = extract_features(model, images, batch_size)  # (N, D)
    features = features.to(next(iter(model.parameters()), features).device)
    return [
        retrieval(
            *(features[rows.to(features.device)] for rows in split),
            *(labels[rows] for labels in (images.pids, images.camids) for rows in split),
        )
        for split in target.splits
    ]


def evaluate_protocol(model: nn.Module, experiment: Experiment, batch_size: int = 256) -> dict:
    """Search all targets of a protocol and report: `report`."""
    return report(
        experiment,
        {name: retrieve(model, test, batch_size) for name, test in experiment.tests.items()},
    )


def report(experiment: Experiment, found: Found) -> dict:
    """Per target the mean and standard deviation over splits with a 95 % interval over identities, and their average.

    A person who is tested in several splits is drawn with all of them. Says which sets were missing.
    Raises ValueError when there is no target.
    """
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in experiment.missing.items())
        raise ValueError(f"protocol {experiment.protocol!r} has no target to test on. {reasons}")
    generator = torch.Generator().manual_seed(0)
    targets, means = {}, {metric: [] for metric in METRICS}
    for name, retrievals in found.items():
        targets[name] = {
            "splits": len(retrievals),
            "split_origin": experiment.tests[name].origin,
            "queries": sum(len(r.pids) for r in retrievals),
            "unmatched_queries": sum(r.num_unmatched for r in retrievals),
        }
        pids = torch.cat([r.pids for r in retrievals])  # (Q,)
        for metric in METRICS:
            values = [r.values(metric).double() for r in retrievals]
            rates = torch.stack([v.mean() for v in values])  # (S,)
            means[metric].append(
                (rates.mean(), bootstrap_means(torch.cat(values), pids, generator=generator))
            )
            std = rates.std().item() if len(rates) > 1 else None
            targets[name][metric] = _interval(rates.mean(), means[metric][-1][1]) | {"std": std}
    average = {
        metric: _interval(*(torch.stack(x).mean(dim=0) for x in zip(*means[metric], strict=True)))
        for metric in METRICS
    }
    return {
        "protocol": experiment.protocol,
        "sources": {s.name: {"ids": len(s.ids), "images": len(s)} for s in experiment.sources},
        "missing": dict(experiment.missing),
        "remarks": list(experiment.remarks),
        "held_out": {name: test.origin for name, test in experiment.validation.items()},
        "targets": targets,
        "average": average,
    }


def _interval(mean: Tensor, resampled: Tensor) -> dict[str, float]:
    low, high = percentiles(resampled)
    return {"mean": mean.item(), "low": low, "high": high}


def compare(a: Found, b: Found, metric: str = "mAP") -> dict:
    """a − b on the same queries, per target and on average, each with a 95 % interval over identities.

    `splits_ahead` counts the splits that a wins. Raises ValueError when targets or queries differ.
    """
    if a.keys() != b.keys() or not a:
        raise ValueError(f"a comparison needs the same targets, got {sorted(a)} and {sorted(b)}")
    generator = torch.Generator().manual_seed(0)
    targets, resampled = {}, []
    for name in a:
        pairs = list(zip(a[name], b[name], strict=True))
        values = [paired_values(*pair, metric).double() for pair in pairs]
        means = torch.stack([v.mean() for v in values])  # (S,)
        pids = torch.cat([pair[0].pids for pair in pairs])  # (Q,)
        resampled.append(bootstrap_means(torch.cat(values), pids, generator=generator))  # (R,)
        ahead = {"splits": len(means), "splits_ahead": int((means > 0).sum())}
        targets[name] = _interval(means.mean(), resampled[-1]) | ahead
    mean = torch.tensor([target["mean"] for target in targets.values()], dtype=torch.float64).mean()
    return {
        "metric": metric,
        "targets": targets,
        "average": _interval(mean, torch.stack(resampled).mean(dim=0)),
    }


def over_seeds(reports: Sequence[dict]) -> dict:
    """Mean and standard deviation over runs that differ in their seed, with Student's 95 % interval, per target and metric.

    Raises ValueError for fewer than two runs and for runs whose sets differ.
    """
    same = [
        {
            key: (sorted(r[key]) if key != "protocol" else r[key])
            for key in ("protocol", "targets", "sources")
        }
        for r in reports
    ]
    if any(these != same[0] for these in same):
        raise ValueError(f"only runs on the same sets can be averaged, got {same}")

    def gather(metric: str, parts: Sequence[dict]) -> dict:
        values = [part[metric]["mean"] for part in parts]
        mean, low, high = paired_interval(torch.tensor(values, dtype=torch.float64))
        std = torch.tensor(values, dtype=torch.float64).std().item()
        return {"mean": mean, "std": std, "low": low, "high": high, "values": values}

    parts = {name: [r["targets"][name] for r in reports] for name in same[0]["targets"]}
    parts["average"] = [r["average"] for r in reports]
    return {
        name: {metric: gather(metric, rows) for metric in METRICS} for name, rows in parts.items()
    }


def validate(model: nn.Module, experiment: Experiment, batch_size: int = 256) -> float:
    """Mean average precision on the source identities that were held out, averaged over sources.

    Raises ValueError when none were: open the protocol with `held_out`.
    """
    if not experiment.validation:
        raise ValueError(
            "no identities were held out to choose a model by: open_protocol(…, held_out=…)"
        )
    found = [retrieve(model, target, batch_size) for target in experiment.validation.values()]
    return sum(retrievals[0].mAP for retrievals in found) / len(found)


class Candidate(NamedTuple):
    """A checkpoint of a run with its score on held-out source identities and on the target."""

    checkpoint: str
    validation: float
    target: float


def select(candidates: Sequence[Candidate]) -> list[dict]:
    """Three rules for which checkpoint to report, side by side; `candidates` in the order of training.

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
    return [
        {"rule": rule, **chosen._asdict(), "may_be_claimed": "oracle" not in rule}
        for rule, chosen in rules.items()
    ]
