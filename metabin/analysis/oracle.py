"""Headroom: the rho that would serve the targets best, fitted on them. Never a result."""

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
    """The rho that serves some images best: fitted by triplet loss *on the targets themselves*.

    An upper bound that shows how much rho alone could win with these weights; never a result that
    may be claimed. BN uses its running statistics, as in deployment. Returns rho by name, clamped
    to [0, 1]; the model is unchanged.
    """
    device, rho = next(model.parameters()).device, {}
    for name, r in balancing_parameters(model.extractor).items():
        rho[name] = r.detach().clone().requires_grad_()
    sampler = PKSampler(targets.pids, targets.domains, 4, 4, torch.Generator().manual_seed(seed))
    optimizer = torch.optim.Adam(rho.values(), lr)
    with eval_mode(model):
        for _ in range(steps):
            losses = []
            for index in sampler.draw():  # a domain each
                images = normalize(targets.images[index].to(device))
                features = functional_call(model.extractor, rho, images)  # (P*K, D)
                losses.append(triplet_loss(features, targets.pids[index].to(device)))
            gradients = torch.autograd.grad(sum(losses) / len(losses), list(rho.values()))
            for r, gradient in zip(rho.values(), gradients, strict=True):
                r.grad = gradient
            optimizer.step()
            with torch.no_grad():
                for r in rho.values():
                    r.clamp_(0, 1)
    return {name: r.detach() for name, r in rho.items()}
