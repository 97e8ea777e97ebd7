"""Augmentation, the backbone and the model: pixels by brute force, features and logits by hand."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as vision

from metabin.data.augment import flip_and_crop, normalize
from metabin.networks.backbones import StreetNet
from metabin.networks.model import ReIDModel, build_model
from metabin.norm import BatchInstanceNorm2d

NORMS = ["bn", "in", "half", "bin"]


def random_images(n: int, height: int = 32, width: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        256, (n, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


# --- augmentation --------------------------------------------------------------------------------------------------


def test_normalizing_is_torchvisions_with_imagenets_statistics():
    images = random_images(5)
    expected = vision.normalize(images.float() / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(normalize(images), expected)


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_an_augmented_image_is_one_of_all_crops_and_flips_and_each_of_them_happens(pad):
    image = random_images(1, 5, 3)
    padded = F.pad(image[0], (pad, pad, pad, pad))
    crops = [
        padded[:, i : i + 5, j : j + 3] for i, j in itertools.product(range(2 * pad + 1), repeat=2)
    ]
    candidates = torch.stack(
        [c for crop in crops for c in (crop, crop.flip(-1))]
    )  # (2 (2 pad + 1)^2, 3, 5, 3)
    augmented = flip_and_crop(image.expand(1000, -1, -1, -1), pad, torch.Generator().manual_seed(0))
    matches = (augmented[:, None] == candidates[None]).flatten(2).all(2)  # (1000, candidates)
    assert (matches.sum(1) == 1).all()
    mean, sigma = 1000 / len(candidates), (1000 / len(candidates)) ** 0.5
    assert (matches.sum(0) - mean).abs().max() < 5 * sigma


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_augmentation_keeps_shape_and_type_and_its_generator_decides(dtype):
    images = random_images(8).to(dtype)
    before = images.clone()
    one, same, other = (
        flip_and_crop(images, 3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert one.shape == images.shape and one.dtype == dtype
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(images, before)


# --- backbone and model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(32, 16), (64, 32), (128, 64)])
def test_streetnet_is_as_its_docstring_says(height, width):
    net = StreetNet()
    norms, parameters = (
        sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()),
        sum(map(torch.numel, net.parameters())),
    )
    assert f"{norms} norm layers and {parameters:,} parameters" in net.__doc__
    assert net(torch.randn(2, 3, height, width)).shape == (
        2,
        net.out_channels,
        height // 8,
        width // 8,
    )


def test_the_model_pools_for_the_metric_losses_and_classifies_behind_the_neck():
    model = build_model("bn", num_ids=7)
    images = torch.randn(6, 3, 32, 16)
    features, logits = model(images)
    pooled = model.extractor[0](images).mean(
        (2, 3)
    )  # batch statistics do not depend on the running ones
    torch.testing.assert_close(features, pooled)
    centred = pooled - pooled.mean(0)
    necked = (
        centred / (centred.square().mean(0) + model.neck.eps).sqrt()
    )  # weight 1, bias 0 at the start
    torch.testing.assert_close(logits, necked @ model.classifier.weight.T)
    assert features.shape == (6, StreetNet.out_channels) and logits.shape == (6, 7)


@pytest.mark.parametrize("norm", NORMS)
def test_the_embedding_is_the_necks_output_and_an_images_own_matter_in_eval_mode(norm):
    model, images = build_model(norm, num_ids=7), torch.randn(6, 3, 32, 16)
    model(images)  # moves the running statistics away from (0, 1)
    model.eval()
    embedding = model.embed(images)
    mean, var = model.neck.running_mean, model.neck.running_var
    torch.testing.assert_close(embedding, (model(images)[0] - mean) / (var + model.neck.eps).sqrt())
    torch.testing.assert_close(model.embed(images[2:3]), embedding[2:3])
    assert not embedding.requires_grad


@pytest.mark.parametrize("norm", NORMS)
def test_the_extractors_norms_are_converted_and_the_neck_stays_plain(norm):
    model = build_model(norm, num_ids=7)
    kinds = {type(m) for m in model.extractor.modules()}
    assert (BatchInstanceNorm2d in kinds) == (norm == "bin")
    assert (nn.BatchNorm2d in kinds) == (norm in ("bn", "half"))
    assert type(model.neck) is nn.BatchNorm1d
    assert not model.neck.bias.requires_grad and not model.neck.bias.any()
    assert model.classifier.bias is None
    assert model.classifier.weight.std().item() == pytest.approx(0.001, rel=0.2)


def test_any_backbone_that_says_how_many_channels_it_has_will_do():
    backbone = nn.Sequential(nn.Conv2d(3, 5, 3))
    backbone.out_channels = 5
    features, logits = ReIDModel(backbone, num_ids=4)(torch.randn(2, 3, 6, 6))
    assert features.shape == (2, 5) and logits.shape == (2, 4)


def test_under_autocast_the_neck_and_the_embedding_stay_in_float32():
    model, images = build_model("bin", num_ids=7), torch.randn(4, 3, 32, 16)
    model(images)
    exact = model.eval().embed(images)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = model.embed(images)
    assert embedding.dtype == torch.float32
    assert F.cosine_similarity(embedding, exact).min() > 0.999
