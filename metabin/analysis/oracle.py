"""Headroom: the rho that would serve the targets best, fitted on the targets themselves. Never a result."""

import torch
from torch.func import functional_call

from metabin.data.augment import normalize
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import eval_mode
from metabin.losses import triplet_loss
from metabin.networks.model import ReIDModel
from metabin.norm import balancing_parameters
from metabin.samplers import PKSampler


def oracle_rho(
    model: ReIDModel, targets: ImageSet, steps: int = 150, lr: float = 0.05, seed: int = 0
) -> dict[str, torch.Tensor]:
    """The rho that serves given images best: fitted by triplet loss *on the targets themselves*, labels and all.

    An upper bound that shows how much rho alone could win with these weights; never a result that may be claimed.
    BN uses its running statistics, as in deployment. Returns rho by name, clamped to [0, 1]; the model is unchanged.
    """
    device = next(model.parameters()).device
    rho = {
        name: r.detach().clone().requires_grad_()
        for name, r in balancing_parameters(model.extractor).items()
    }
    sampler = PKSampler(targets.pids, targets.domains, 4, 4, torch.Generator().manual_seed(seed))
    optimizer = torch.optim.Adam(rho.values(), lr)
    with eval_mode(model):
        for _ in range(steps):
            loss = torch.zeros((), device=device)
            rows = sampler.draw()
            for index in rows:
                images = normalize(targets.images[index].to(device))
                loss = loss + triplet_loss(
                    functional_call(model.extractor, rho, images), targets.pids[index].to(device)
                )
            gradients = torch.autograd.grad(loss / len(rows), list(rho.values()))
            for r, gradient in zip(rho.values(), gradients, strict=True):
                r.grad = gradient
            optimizer.step()
            with torch.no_grad():
                for r in rho.values():
                    r.clamp_(0, 1)
    return {name: r.detach() for name, r in rho.items()}
