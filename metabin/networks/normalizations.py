"""The normalizations that are compared: *what* takes a layer's place, and *where* a method does so. Two separate rules.

A `what` is given the module in a place and returns the one that takes its place, with its values, device, dtype and mode.
A `where` names places in a model; everything else stays as it is. A method is one line of NORMS: its what, its where.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from metabin.norm import BatchInstanceNorm2d, MixedNorm2d

# ---- what ---------------------------------------------------------------------------------------------------------


def batch_norm(bn: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """BN: the layer as it is (Ioffe and Szegedy, ICML 2015, [16])."""
    return bn


def plain_instance_norm(bn: nn.BatchNorm2d) -> nn.InstanceNorm2d:
    """IN without an affine pair (Ulyanov et al., 2016, [40])."""
    return nn.InstanceNorm2d(bn.num_features, bn.eps).train(bn.training)


def fresh_instance_norm(bn: nn.BatchNorm2d) -> nn.InstanceNorm2d:
    """IN whose affine pair starts at (1, 0), whatever the BN's is."""
    return nn.InstanceNorm2d(bn.num_features, bn.eps, affine=True).to(bn.weight).train(bn.training)


def instance_norm(bn: nn.BatchNorm2d) -> nn.InstanceNorm2d:
    """IN whose affine pair starts from the BN's, for weights that were trained with BN."""
    layer = fresh_instance_norm(bn)
    layer.load_state_dict({"weight": bn.weight, "bias": bn.bias})
    return layer


def then_instance_norm(block: nn.Module) -> nn.Sequential:
    """A block and behind it an IN, whose affine pair starts at (1, 0): DualNorm (Jia et al., BMVC 2019, [17]).

    [17] adds IN behind residual additions, with BN as before and on the feature (the BNNeck). In MobileNetV2 a block ends
    with the addition; in the other backbones a ReLU comes between. MetaBIN's released code reads [17] in another way: in
    MobileNetV2's stages 1 to 6 it has IN in the place of BN.
    """
    return nn.Sequential(block, fresh_instance_norm(_last_norm(block))).train(block.training)


class HalfNorm2d(nn.Module):
    """BN on the first half of the channels, IN on the rest: "BN+IN half" of Table 5."""

    order = "batch", "instance"

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__()
        self.sizes = num_features // 2, num_features - num_features // 2
        sizes = dict(zip(self.order, self.sizes, strict=True))
        self.batch = nn.BatchNorm2d(sizes["batch"], eps, momentum)
        self.instance = nn.InstanceNorm2d(sizes["instance"], eps, affine=True)

    @classmethod
    def from_batch_norm(cls, bn: nn.BatchNorm2d) -> "HalfNorm2d":
        """Both halves start from the BN's affine pair, the BN half from its running statistics as well."""
        layer = cls(bn.num_features, bn.eps, bn.momentum).to(bn.weight)
        halves = {
            key: v.split(layer.sizes) if v.dim() else (v, v) for key, v in bn.state_dict().items()
        }
        for half, name in enumerate(cls.order):
            part = layer.get_submodule(name)
            part.load_state_dict({key: halves[key][half] for key in part.state_dict()})
        return layer.train(bn.training)

    def forward(self, x: Tensor) -> Tensor:
        halves = zip(
            self.order, x.split(self.sizes, dim=1), strict=True
        )  # (N, C // 2, H, W), (N, C - C // 2, H, W)
        return torch.cat(
            [getattr(self, name)(half) for name, half in halves], dim=1
        )  # (N, C, H, W)


class IBNorm2d(HalfNorm2d):
    """IN on the first half of the channels, BN on the rest: the layer of IBN-a (Pan et al., ECCV 2018, [31])."""

    order = "instance", "batch"


class SharedBatchInstanceNorm2d(BatchInstanceNorm2d):
    """BIN with one affine pair, weight * (rho * x_hat_B + (1 - rho) * x_hat_I) + bias (Nam and Kim, NeurIPS 2018, [30]).

    All else is as in BatchInstanceNorm2d; converted from a BN, it starts as the same function.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__(num_features, eps, momentum)
        self.in_weight = self.in_bias = None  # no parameters of their own

    def _affine(self) -> tuple[Tensor, ...]:
        pair = self.weight, self.bias
        return (
            self.rho,
            *pair,
            *(tensor.view(-1) for tensor in pair),
        )  # views: torch.compile takes no tensor twice


class SwitchableNorm2d(MixedNorm2d):
    """Normalize by a mix of BN's and IN's means and, apart from it, a mix of their variances (Luo et al., TPAMI 2019, [27]).

    A mix's weights are the softmax of `mean_logits` or `var_logits` (branches,), one set for the whole layer, which start
    equal: so a converted network does not compute what it did before. One affine pair. Where [27] averages BN's statistics
    over some batches after training, these are BatchNorm2d's running ones. Table 1's "Switchable (BN+IN)" is read as this.
    Raises as BatchInstanceNorm2d does.
    """

    branches = 2  # BN, IN

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__(num_features, eps, momentum)
        self.mean_logits = nn.Parameter(torch.zeros(self.branches))
        self.var_logits = nn.Parameter(torch.zeros(self.branches))

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(
            wide, (2, 3), correction=0, keepdim=True
        )  # of images, (N, C, 1, 1) each
        if self.training:
            batch = _pool(mean, var, 0)  # (1, C, 1, 1) each
        else:
            batch = self.running_mean.view(1, -1, 1, 1), self.running_var.view(1, -1, 1, 1)
        choices = [batch, (mean, var), _pool(mean, var, 1)][: self.branches]
        if self.training and self.track_running_stats:
            self._update_running_stats(
                *(moment.flatten() for moment in batch), count=x.numel() // x.shape[1]
            )
        means, variances = zip(*choices, strict=True)
        mean = sum(
            share * m for share, m in zip(self.mean_logits.softmax(0), means, strict=True)
        )  # (N, C, 1, 1)
        var = sum(
            share * v for share, v in zip(self.var_logits.softmax(0), variances, strict=True)
        )  # (N, C, 1, 1)
        scale = self.weight.view(-1, 1, 1) * (var + self.eps).rsqrt()  # (N, C, 1, 1)
        return torch.addcmul(self.bias.view(-1, 1, 1), wide - mean, scale).to(
            x.dtype
        )  # (N, C, H, W)


class SwitchableLayerNorm2d(SwitchableNorm2d):
    """The switchable normalization of [27] in full, with layer normalization (over C, H, W) as the third branch."""

    branches = 3  # BN, IN, LN


def _pool(mean: Tensor, var: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean and variance over images (dim 0) or channels (dim 1), from those of maps (N, C, 1, 1): law of total variance."""
    whole = mean.mean(dim, keepdim=True)
    return whole, (var + (mean - whole).square()).mean(dim, keepdim=True)


# ---- where --------------------------------------------------------------------------------------------------------


def everywhere(model: nn.Module) -> list[str]:
    """Every BatchNorm2d of the model."""
    return [
        name
        for name, module in model.named_modules(remove_duplicate=False)
        if type(module) is nn.BatchNorm2d
    ]


def residual_blocks(model: nn.Module) -> list[str]:
    """The blocks that a backbone repeats, in order: its smallest modules with two norms or more, nn.Sequential left out.

    This finds the blocks of StreetNet, of torchvision's ResNets, and of MobileNetV2 (the inverted residuals).
    """
    found = [
        name
        for name, module in model.named_modules()
        if name and type(module) is not nn.Sequential and len(everywhere(module)) > 1
    ]
    return [name for name in found if not any(other.startswith(f"{name}.") for other in found)]


def early_blocks(model: nn.Module) -> list[str]:
    """The residual blocks of all stages but the last, where a stage is a run of blocks with the same output width.

    ResNets: layer1 to layer3. MobileNetV2: stages 1 to 6 of 7. StreetNet: the blocks of 16 and of 32 channels.
    """
    blocks = residual_blocks(model)
    widths = [_last_norm(model.get_submodule(name)).num_features for name in blocks]
    return [name for name, width in zip(blocks, widths, strict=True) if width != widths[-1]]


def _last_norm(block: nn.Module) -> nn.BatchNorm2d:
    """The norm that was registered last: the branch's or the shortcut's, so it has the channels of the block's output."""
    return block.get_submodule(everywhere(block)[-1])


def first_norms(model: nn.Module) -> list[str]:
    """The first norm of each early block, where IBN-Net has its layer (Pan et al., [31]: ResNets' layer1 to layer3).

    [31] has no MobileNetV2: there it is the norm behind the 1x1 expansion.
    """
    return [f"{name}.{everywhere(model.get_submodule(name))[0]}" for name in early_blocks(model)]


# ---- methods ------------------------------------------------------------------------------------------------------

NORMS: dict[str, tuple[Callable[[nn.Module], nn.Module], Callable[[nn.Module], Iterable[str]]]] = {
    "bn": (batch_norm, everywhere),
    "in": (instance_norm, everywhere),
    "in_fresh": (fresh_instance_norm, everywhere),
    "in_plain": (plain_instance_norm, everywhere),
    "half": (HalfNorm2d.from_batch_norm, everywhere),
    "bin": (BatchInstanceNorm2d.from_batch_norm, everywhere),
    "bin_shared": (SharedBatchInstanceNorm2d.from_batch_norm, everywhere),
    "switchable": (SwitchableNorm2d.from_batch_norm, everywhere),
    "switchable_ln": (SwitchableLayerNorm2d.from_batch_norm, everywhere),
    "ibn": (IBNorm2d.from_batch_norm, first_norms),
    "dualnorm": (then_instance_norm, early_blocks),
}


def _is_full(bn: nn.BatchNorm2d) -> bool:
    return bn.affine and bn.track_running_stats


def convert_norm(model: nn.Module, norm: str) -> nn.Module:
    """Put the normalization `norm` (a key of NORMS) into its places in a model with BatchNorm2d layers; returns the model.

    Affine pairs, statistics, device, dtype and mode are carried over; a layer that sits in two places stays one layer.
    Raises ValueError for an unknown name, for a model without a BatchNorm2d or with norms that a conversion puts in
    (converted before, perhaps), for a BatchNorm2d without affine pair or statistics, and for a model without a place for this
    method.
    """
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: choose one of {', '.join(NORMS)}")
    if not everywhere(model):
        raise ValueError(
            "the model has no BatchNorm2d layer to convert: build it with BatchNorm2d and convert it once"
        )
    if any(isinstance(module, nn.InstanceNorm2d | MixedNorm2d) for module in model.modules()):
        raise ValueError(
            "the model holds other norms than BatchNorm2d already: build it with BatchNorm2d alone and convert it once"
        )
    if bad := [name for name in everywhere(model) if not _is_full(model.get_submodule(name))]:
        raise ValueError(
            f"{bad[0]} has no affine pair or no running statistics, which a conversion takes over"
        )
    what, where = NORMS[norm]
    places = {name: model.get_submodule(name) for name in where(model)}
    if not places:
        raise ValueError(
            f"the model has no place for {norm}: it needs residual blocks of different widths"
        )
    modules = {module: what(module) for module in places.values()}
    for name, module in places.items():
        model.set_submodule(name, modules[module])
    return model
