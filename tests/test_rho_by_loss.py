"""rho that follows one loss: the walk, the network at its end, and how both are drawn."""

import pytest
import torch
from conftest import make_people, title_of
from torch import nn
from torch.nn import functional as F

from metabin.analysis.guard import changes_only
from metabin.analysis.rho_by_loss import Walk, network_at, rank_lists_of, walks_by_loss
from metabin.losses import scatter_loss, shuffle_loss, triplet_loss
from metabin.networks.model import ReIDModel
from metabin.norm import BatchInstanceNorm2d, frozen_running_stats
from metabin.plotting import draw_rho_by_loss
from metabin.samplers import Batch

PIDS, DOMAINS = torch.arange(16) // 2, torch.arange(16) // 8


def small_batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randn(16, 3, 1, 1, generator=generator)  # mean and contrast differ by picture
    images = levels + levels.abs() * torch.randn(16, 3, 6, 4, generator=generator)
    return Batch(images, PIDS, DOMAINS)


def small_model() -> ReIDModel:
    backbone = nn.Sequential(nn.Conv2d(3, 5, 3), BatchInstanceNorm2d(5), nn.ReLU())
    backbone.out_channels = 5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ReIDModel(backbone, 4)
        model.extractor[0][0].reset_parameters()
    model.extractor[0][1].rho.data.fill_(0.5)
    return model.eval()


def test_each_walk_goes_down_its_own_loss_by_plain_descent_within_zero_and_one():
    extractor = small_model().extractor
    batches = [small_batch(seed) for seed in range(6)]
    values = {
        "scatter": lambda f: scatter_loss(f, DOMAINS),
        "shuffle": lambda f: shuffle_loss(f, PIDS, DOMAINS),
        "triplet": lambda f: triplet_loss(f, PIDS),
    }
    with changes_only(extractor):
        walks = walks_by_loss(extractor, batches, first_move=0.2)
    assert walks.keys() == values.keys() and not extractor.training
    rho = extractor[0][1].rho
    extractor.train()
    for name, walk in walks.items():
        expected = torch.full((5,), 0.5)
        for step, batch in enumerate(batches):
            torch.testing.assert_close(walk.rho(step), expected)
            with torch.no_grad():
                rho.copy_(expected)
            with frozen_running_stats(extractor):
                loss = values[name](extractor(batch.images))
            assert walk.losses[step] == pytest.approx(loss.item(), abs=1e-6)
            (gradient,) = torch.autograd.grad(loss, rho)
            expected = (expected - walk.step_size * gradient).clamp(0, 1)
        torch.testing.assert_close(walk.rho(), expected)


def test_the_first_steps_of_all_losses_are_equally_long():
    for walk in walks_by_loss(small_model().extractor, [small_batch(0)], first_move=0.01).values():
        move = walk.rho(1) - walk.rho(0)
        assert move.square().mean().sqrt().item() == pytest.approx(0.01, rel=1e-3)


def test_a_network_at_another_rho_normalizes_by_the_statistics_that_pictures_have_there():
    model, images = small_model(), small_batch(3).images
    with changes_only(model):
        changed = network_at(model, {"0.1.rho": torch.full((5,), 0.9)}, images)
    layer, neck = changed.extractor[0][1], changed.neck
    assert layer.rho.eq(0.9).all() and not changed.training
    maps = model.extractor[0][0](images)  # (16, 5, H, W), before the layer
    torch.testing.assert_close(layer.running_mean, maps.mean((0, 2, 3)))
    changed.extractor.train()
    with frozen_running_stats(changed.extractor):
        features = changed.extractor(images)  # (16, 5), by the pictures' own statistics
    torch.testing.assert_close(neck.running_mean, features.mean(0))
    torch.testing.assert_close(neck.running_var, features.var(0))


class Known(nn.Module):
    """A network whose features are known."""

    def __init__(self, *features):
        super().__init__()
        self.features = nn.Parameter(torch.cat(features, 1))

    def embed(self, images):
        return self.features


def test_rank_lists_say_whether_the_first_is_right_and_how_many_are_of_the_own_camera():
    people = make_people(num_domains=1, ids=4, images=4)  # two cameras
    by_camera, by_person = F.one_hot(people.camids, 2).float(), F.one_hot(people.pids, 4).float()
    style = rank_lists_of(Known(5 * by_camera, by_person), people, nearest=3)
    person = rank_lists_of(Known(by_camera, 5 * by_person), people, nearest=2)
    assert style.order.shape == style.right.shape == (16, 3)
    assert style.own_camera.eq(1).all() and style.hits.eq(0).all()
    assert person.own_camera.eq(0).all() and person.hits.eq(1).all() and person.right.all()


def test_a_histogram_for_each_loss_and_moment_stands_over_its_channels_with_their_mean():
    path = [{"a.rho": torch.tensor([1.0, 1.0, 0.6])}, {"a.rho": torch.tensor([0.0, 0.02, 0.7])}]
    walks = {"scatter": Walk(path, [0.98], 200.0), "shuffle": Walk(path[::-1], [1.5], 2.0)}
    first, other, last, _ = draw_rho_by_loss(walks, (0, 1)).axes
    low = 0.24, {0: 2 / 3, 14: 1 / 3}  # the mean, and the shares of the bins
    high = 2.6 / 3, {19: 2 / 3, 12: 1 / 3}
    for axis, (mean, shares) in ((first, high), (other, low), (last, low)):
        heights = [bar.get_height() / 100 for bar in axis.patches]
        assert {i: height for i, height in enumerate(heights) if height} == pytest.approx(shares)
        assert axis.lines[0].get_xdata()[0] == pytest.approx(mean)
    assert "step size 200" in title_of(first)
    assert [axis.get_ylabel() for axis in (first, last)] == ["start", "1 steps"]
