"""A training run and its network looked at from outside: rho, the parts' costs, features in the plane."""

import copy
import time
from collections.abc import Callable, Sequence

import torch
from sklearn.manifold import TSNE
from torch import Tensor, nn
from torch.nn import functional as F

from metabin.data.batches import join
from metabin.evaluate.retrieval import eval_mode
from metabin.meta import base_step, inner_step, meta_step
from metabin.norm import balancing_parameters
from metabin.train import Run


def rho_by_layer(rho: nn.Module | Sequence[Tensor]) -> list[Tensor]:
    """The balancing parameters (C,) of every layer of an extractor, in [0, 1]; or a list of them as it is."""
    layers = balancing_parameters(rho).values() if isinstance(rho, nn.Module) else rho
    return [layer.detach().clamp(0, 1) for layer in layers]


def rho_summary(rho: nn.Module | Sequence[Tensor]) -> torch.Tensor:
    """Mean and quartiles of rho in each layer and, in the last row, over all channels: (layers + 1, 4), as in Fig. 11.

    Of an extractor or of its layers' rho. Columns: mean, 25 %, 50 %, 75 %.
    """
    layers = rho_by_layer(rho)
    quartiles = torch.tensor([0.25, 0.5, 0.75], device=layers[0].device)
    rows = [
        torch.cat([r.mean()[None], r.quantile(quartiles)]) for r in (*layers, torch.cat(layers))
    ]
    return torch.stack(rows).cpu()  # (layers + 1, 4)


def rho_distribution(rho: nn.Module | Sequence[Tensor], bins: int = 10) -> torch.Tensor:
    """The share of each layer's channels whose rho lies in each of `bins` equal parts of [0, 1], as in Figs. 4, 9 and 10.

    Of an extractor or of its layers' rho: (layers, bins); rows sum to 1.
    """
    return torch.stack([torch.histc(r.cpu(), bins, 0, 1) / len(r) for r in rho_by_layer(rho)])


def embed_in_plane(features: Tensor, perplexity: float = 30.0, seed: int = 0) -> Tensor:
    """t-SNE by scikit-learn of features (N, D) under cosine distance, as in Fig. 3: (N, 2).

    Starts from principal components, so that the same seed gives the same picture. Distances between far groups mean
    nothing in it. Raises ValueError where the perplexity is not below N.
    """
    if perplexity >= len(features):
        raise ValueError(
            f"perplexity={perplexity} must be below the number of points, {len(features)}"
        )
    unit = (
        F.normalize(features.float(), dim=1).cpu().numpy()
    )  # here Euclidean order is cosine order
    return torch.from_numpy(
        TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit)
    )


def step_costs(run: Run, rounds: int = 10) -> dict[str, list[float]]:
    """Seconds that each part of an iteration takes, `rounds` times: data, base step, meta-train, meta-test.

    The run is put back to where it was. Meta-test is what `meta_step` takes beyond its `inner_step`.
    """
    before = copy.deepcopy(run.state_dict())
    config, extractor, rho = (
        run.config,
        run.model.extractor,
        balancing_parameters(run.model.extractor),
    )
    costs = {part: [] for part in ("data", "base step", "meta-train", "meta-test")}

    def seconds(work: Callable) -> tuple[float, object]:
        started = time.perf_counter()
        result = work()
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        return time.perf_counter() - started, result

    with eval_mode(run.model):
        run.model.train()
        for _ in range(rounds):
            data, (base, meta) = seconds(
                lambda: (join(run.base_batches.draw()), run.meta_batches.draw())
            )
            train_part, test_part = (
                join(meta[: run.num_meta_train]),
                join(meta[run.num_meta_train :]),
            )
            base, _ = seconds(
                lambda batch=base: base_step(run.model, run.optimizer, batch, run.base)
            )
            inner, _ = seconds(
                lambda batch=train_part: inner_step(extractor, rho, batch, config.inner_lr_high)
            )
            sides = train_part, test_part
            both, _ = seconds(
                lambda sides=sides: meta_step(
                    extractor, *sides, config.inner_lr_high, config.outer_lr
                )
            )
            for part, cost in zip(costs, (data, base, inner, both - inner), strict=True):
                costs[part].append(cost)
    run.load_state_dict(before)
    return costs
