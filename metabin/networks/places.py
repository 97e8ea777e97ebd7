"""Where a method replaces layers: rules that name modules of a model with BatchNorm2d layers."""

from torch import nn


def everywhere(model: nn.Module) -> list[str]:
    """Every BatchNorm2d of the model."""
    modules = model.named_modules(remove_duplicate=False)
    return [name for name, module in modules if type(module) is nn.BatchNorm2d]


def residual_blocks(model: nn.Module) -> list[str]:
    """The blocks that a backbone repeats, in order.

    They are its smallest modules with two norms or more, nn.Sequential left out: the blocks of
    StreetNet, of torchvision's ResNets, and of MobileNetV2 (the inverted residuals).
    """
    blocks = []
    for name, module in model.named_modules():
        if name and type(module) is not nn.Sequential and len(everywhere(module)) > 1:
            blocks.append(name)
    return [name for name in blocks if not _has_within(name, blocks)]


def _has_within(name: str, blocks: list[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in blocks)


def early_blocks(model: nn.Module) -> list[str]:
    """The residual blocks of all stages but the last: blocks of one output width are a stage.

    ResNets: layer1 to layer3. MobileNetV2: stages 1 to 6 of 7. StreetNet: the blocks of 16 and of
    32 channels.
    """
    blocks = residual_blocks(model)
    widths = [last_norm(model.get_submodule(name)).num_features for name in blocks]
    return [name for name, width in zip(blocks, widths, strict=True) if width != widths[-1]]


def first_stage_ends(model: nn.Module) -> list[str]:
    """The last block of each of the first two stages, behind which MixStyle stands.

    ResNets: the ends of layer1 and layer2 (Zhou et al., ICLR 2021). StreetNet: the blocks of 16 and
    of 32 channels.
    """
    ends = {}
    for name in residual_blocks(model):
        ends[last_norm(model.get_submodule(name)).num_features] = name
    return list(ends.values())[:2]


def first_norms(model: nn.Module) -> list[str]:
    """The first norm of each early block, where IBN-Net has its layer (Pan et al., [31]).

    [31] has ResNets' layer1 to layer3 and no MobileNetV2: there it is the norm behind the 1x1
    expansion.
    """
    return [f"{name}.{everywhere(model.get_submodule(name))[0]}" for name in early_blocks(model)]


def last_norm(block: nn.Module) -> nn.BatchNorm2d:
    """The norm registered last, which has the channels of the block's output."""
    return block.get_submodule(everywhere(block)[-1])
