"""Points that a loss pushes about: where they begin, and where they go."""

import torch

from metabin.analysis.plane import eighteen_points, push, walk


def bowl(features):
    return features.square().sum() / 2  # its gradient is the features themselves


def test_the_points_are_three_domains_of_two_people_with_three_images():
    features, pids, domains = eighteen_points()
    assert features.shape == (18, 2) and pids.bincount().tolist() == [3] * 6
    assert domains.tolist() == (pids // 2).tolist()
    centres = torch.stack([features[domains == domain].mean(0) for domain in range(3)])  # (3, 2)
    angles = torch.rad2deg(torch.atan2(centres[:, 1], centres[:, 0]))
    torch.testing.assert_close(angles, torch.tensor([80.0, 45.0, 10.0]), atol=5, rtol=0)


def test_a_walk_is_gradient_descent_and_leaves_the_features_alone():
    features = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    assert torch.equal(push(bowl, features), -features) and not features.requires_grad
    path = walk(bowl, features, steps=3, step_size=0.5)
    torch.testing.assert_close(path, torch.stack([features * 0.5**t for t in range(4)]))
