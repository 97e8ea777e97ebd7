"""The normalizations that are compared: *what* replaces a layer, and *where* a method does so.

A `what` takes a module and returns its replacement, with its values, device, dtype and mode. A
`where` names modules of a model; everything else stays as it is. A method is one line of NORMS,
its what and its where (those of `places`). Yours is one more, `NORMS["mine"] = what, where`, from
any file.

Sizes: N images, C channels, H x W positions.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from metabin.kernels.mixed_norm import MixedNorm2d
from metabin.networks.places import early_blocks, everywhere, first_norms, last_norm
from metabin.norm import BatchInstanceNorm2d

# ---- what ---------------------------------------------------------------------------------------


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
    """A block and behind it an IN that starts at (1, 0): DualNorm (Jia et al., BMVC 2019, [17]).

    [17] adds IN behind residual additions, with BN as before and on the feature (the BNNeck). In
    MobileNetV2 a block ends with the addition; in the other backbones a ReLU comes between.
    MetaBIN's released code reads [17] in another way: in MobileNetV2's stages 1 to 6 it has IN in
    the place of BN.
    """
    return nn.Sequential(block, fresh_instance_norm(last_norm(block))).train(block.training)


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
        """Both halves start from the BN's affine pair, the BN half from its statistics as well."""
        layer = cls(bn.num_features, bn.eps, bn.momentum).to(bn.weight)
        border = layer.sizes[0]
        channels = slice(None, border), slice(border, None)
        for name, half in zip(cls.order, channels, strict=True):
            norm = layer.get_submodule(name)
            for key, value in norm.state_dict().items():
                source = bn.state_dict()[key]
                value.copy_(source[half] if source.dim() else source)
        return layer.train(bn.training)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.split(self.sizes, dim=1)  # (N, C // 2, H, W), (N, C - C // 2, H, W)
        norms = [self.get_submodule(name) for name in self.order]
        return torch.cat([norms[0](first), norms[1](second)], dim=1)  # (N, C, H, W)


class IBNorm2d(HalfNorm2d):
    """IN on the first half of the channels, BN on the rest: IBN-a (Pan et al., ECCV 2018, [31])."""

    order = "instance", "batch"


class SharedBatchInstanceNorm2d(BatchInstanceNorm2d):
    """BIN with one affine pair (Nam and Kim, NeurIPS 2018, [30]).

    y = weight * (rho * x_hat_B + (1 - rho) * x_hat_I) + bias. All else is as in
    BatchInstanceNorm2d; converted from a BN, it starts as the same function.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__(num_features, eps, momentum)
        self.in_weight = self.in_bias = None  # no parameters of their own

    def coefficients(self) -> tuple[Tensor, ...]:
        # Views, since torch.compile takes no tensor twice.
        in_weight, in_bias = self.weight.view(-1), self.bias.view(-1)
        return self.rho, self.weight, self.bias, in_weight, in_bias  # (C,) each


class SwitchableNorm2d(MixedNorm2d):
    """Normalize by a mix of BN's and IN's means and, apart from it, a mix of their variances.

    Luo et al., TPAMI 2019, [27]. A mix's weights are the softmax of `mean_logits` or `var_logits`
    (branches,), one set for the whole layer, which start equal: so a converted network does not
    compute what it did before. One affine pair. Where [27] averages BN's statistics over some
    batches after training, these are BatchNorm2d's running ones. Table 1's "Switchable (BN+IN)"
    is read as this. Raises as BatchInstanceNorm2d does.
    """

    branches = 2  # BN, IN

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__(num_features, eps, momentum)
        self.mean_logits = nn.Parameter(torch.zeros(self.branches))
        self.var_logits = nn.Parameter(torch.zeros(self.branches))

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)  # (N, C, 1, 1) each
        batch = self._batch_moments(mean, var, x.numel() // x.shape[1])  # (1, C, 1, 1) each
        image, layer = (mean, var), _pool(mean, var, 1)  # (N, C, 1, 1) and (N, 1, 1, 1) each
        branches = [batch, image, layer][: self.branches]
        mean_shares, var_shares = self.mean_logits.softmax(0), self.var_logits.softmax(0)
        mean = sum(share * m for share, (m, _) in zip(mean_shares, branches, strict=True))
        var = sum(share * v for share, (_, v) in zip(var_shares, branches, strict=True))
        scale = self.weight.view(-1, 1, 1) * (var + self.eps).rsqrt()  # (N, C, 1, 1)
        y = torch.addcmul(self.bias.view(-1, 1, 1), wide - mean, scale)  # (N, C, H, W)
        return y.to(x.dtype)

    def _batch_moments(self, mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """BN's mean and variance, (1, C, 1, 1) each, from the images'; `count` values a channel."""
        if not self.training:
            return self.running_mean.view(1, -1, 1, 1), self.running_var.view(1, -1, 1, 1)
        mean, var = _pool(mean, var, 0)
        if self.track_running_stats:
            self.update_running_stats(mean.flatten(), var.flatten(), count)
        return mean, var


class SwitchableLayerNorm2d(SwitchableNorm2d):
    """Switchable normalization of [27] in full: layer normalization is the third branch."""

    branches = 3  # BN, IN, LN (over C, H, W)


def _pool(mean: Tensor, var: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean and variance over images (dim 0) or channels (dim 1): law of total variance.

    `mean` and `var` are those of maps, (N, C, 1, 1).
    """
    whole = mean.mean(dim, keepdim=True)
    return whole, (var + (mean - whole).square()).mean(dim, keepdim=True)


# ---- methods ------------------------------------------------------------------------------------

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


def convert_norm(model: nn.Module, norm: str) -> nn.Module:
    """Convert a model with BatchNorm2d layers to `norm`, a key of NORMS; returns the model.

    Affine pairs, statistics, device, dtype and mode are carried over; a layer that a model uses
    twice stays one layer. Raises ValueError for an unknown name, for a model without a
    BatchNorm2d, for one that was converted before, for a BatchNorm2d without affine pair or
    statistics, and for a model without a layer that this method replaces.
    """
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: choose one of {', '.join(NORMS)}")
    _check_convertible(model)
    what, where = NORMS[norm]
    modules = {name: model.get_submodule(name) for name in where(model)}
    if not modules:
        raise ValueError(
            f"the model has no place for {norm}: it needs residual blocks of different widths"
        )
    replacements = {module: what(module) for module in modules.values()}
    for name, module in modules.items():
        model.set_submodule(name, replacements[module])
    return model


def _check_convertible(model: nn.Module) -> None:
    if not everywhere(model):
        raise ValueError(
            "the model has no BatchNorm2d layer to convert: build it with BatchNorm2d and convert "
            "it once"
        )
    if any(isinstance(module, nn.InstanceNorm2d | MixedNorm2d) for module in model.modules()):
        raise ValueError(
            "the model holds other norms than BatchNorm2d: build it with BatchNorm2d alone and "
            "convert it once"
        )
    for name in everywhere(model):
        bn = model.get_submodule(name)
        if not (bn.affine and bn.track_running_stats):
            raise ValueError(
                f"{name} has no affine pair or no running statistics, which a conversion takes over"
            )
