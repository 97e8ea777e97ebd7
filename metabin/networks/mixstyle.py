"""MixStyle: while a network trains, pictures exchange their styles inside it."""

import numpy as np
import torch
from torch import Tensor, nn

from metabin.networks.places import first_stage_ends

ALPHA = 0.1  # of the Beta distribution, as in the paper
EPS = 1e-6


def mix_styles(x: Tensor, share: Tensor, other: Tensor) -> Tensor:
    """Maps with means and deviations mixed with those of other images (Zhou et al., ICLR 2021).

    y = std_mix * (x - mean) / std + mean_mix, where a mix is share * own + (1 - share) * other's.
    x (N, C, H, W), share (N,) in [0, 1], other (N,) numbers of images -> the shape of x.
    Statistics are those of an image's map and carry no gradient.
    """
    share = share.to(x).view(-1, 1, 1, 1)
    var, mean = torch.var_mean(x.detach(), (2, 3), correction=0, keepdim=True)  # (N, C, 1, 1)
    std = (var + EPS).sqrt()
    mixed_mean = share * mean + (1 - share) * mean[other]
    mixed_std = share * std + (1 - share) * std[other]
    return mixed_std * (x - mean) / std + mixed_mean


def add_mix_style(extractor: nn.Module, probability: float, generator: torch.Generator) -> None:
    """Mix styles behind the first two stages in train mode, in this share of the batches.

    What is drawn comes from `generator`, a stream of the run, so a resumed run goes on to the bit.
    The extractor's norms have to be BatchNorm2d.
    """

    def mix(block: nn.Module, inputs: tuple, x: Tensor) -> Tensor:
        if not block.training:
            return x
        seed = torch.randint(2**62, (), device=generator.device, generator=generator)
        random = np.random.default_rng(seed.item())
        if random.random() >= probability:
            return x
        share = torch.from_numpy(random.beta(ALPHA, ALPHA, len(x)))  # (N,)
        other = torch.from_numpy(random.permutation(len(x)))  # (N,)
        return mix_styles(x, share.to(x.device), other.to(x.device))

    for name in first_stage_ends(extractor):
        extractor.get_submodule(name).register_forward_hook(mix)
