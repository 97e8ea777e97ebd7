"""Streets: the same pictures whatever is asked for, knobs that do what they say, and drawings that are what they claim."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from metabin.streets import (
    ATTRIBUTES,
    STYLE,
    STYLE_NAMES,
    Streets,
    World,
    make_streets,
    query_gallery,
    through_camera,
)
from metabin.streets import world as module
from metabin.streets.bodies import KINDS
from metabin.streets.camera import blur, coarsen
from metabin.streets.drawing import Canvas
from metabin.streets.identities import BUILD, COLOURS, PALETTES, draw_identities, pick
from metabin.streets.people import draw_people
from metabin.streets.scenery import SCENES

PEOPLE = 23  # not a whole number of blocks


def keyed(streets: Streets, count: int, cameras: int, images: int) -> dict[tuple, tuple]:
    """Bytes, attributes and style of every picture by (street, person, camera, picture)."""
    found = {}
    for n in range(len(streets)):
        street = streets.names[streets.domains[n]]
        person, camera = int(streets.pids[n]) % count, int(streets.camids[n])
        truth = (streets.attributes[n].tolist(), streets.styles[n].tolist())
        found[street, person, camera, n % images] = (streets.images[n].numpy().tobytes(), truth)
    assert len(found) == len(streets) == len(streets.names) * count * cameras * images
    return found


def sets_of_colours(rng: np.random.Generator, **kwargs):
    who, attributes = draw_identities(rng, 40, **kwargs)
    return who, dict(zip(ATTRIBUTES, attributes.T, strict=True))


# The same pictures


def test_a_picture_does_not_depend_on_what_else_is_asked_for():
    world = World(seed=3)
    everything = keyed(
        make_streets(world, [4, 0, 2], PEOPLE, cameras=3, images_per_camera=2), PEOPLE, 3, 2
    )
    for domains, count, cameras, images in [
        ((2,), PEOPLE, 1, 1),
        ((0, 4), 5, 3, 1),
        ((2, 4), 21, 2, 2),
    ]:
        part = keyed(make_streets(world, domains, count, cameras, images), count, cameras, images)
        assert all(everything[key] == value for key, value in part.items())


def test_a_picture_does_not_depend_on_the_number_of_threads(monkeypatch):
    many = make_streets(World(), [1], PEOPLE)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    assert torch.equal(many.images, make_streets(World(), [1], PEOPLE).images)


def test_another_machine_draws_the_same_within_one_grey_level(tmp_path):
    """Another machine is one whose processor lacks the vector instructions of this one."""
    code = "import sys, torch; from metabin.streets import *; "
    code += "torch.save(make_streets(World(), range(4), 20, 1, 1).images, sys.argv[1])"
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    env = os.environ | {
        "NPY_DISABLE_CPU_FEATURES": " ".join(found),
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([sys.executable, "-c", code, tmp_path / "images"], env=env, check=True)
    here = make_streets(World(), range(4), 20, 1, 1).images.int()
    assert (torch.load(tmp_path / "images").int() - here).abs().max() <= 1


def test_seeds_streets_and_people_differ():
    first, second = (
        make_streets(World(), [0, 1], 3, 1, 1),
        make_streets(World(seed=1), [0, 1], 3, 1, 1),
    )
    pictures = torch.cat([first.images, second.images]).flatten(1)
    assert len(pictures.unique(dim=0)) == 12


def test_people_are_numbered_through_and_nobody_walks_on_two_streets():
    streets = make_streets(World(), [7, 2], 3, cameras=2, images_per_camera=1)
    assert streets.pids.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert streets.camids.tolist() == [0, 1] * 6
    assert streets.domains.tolist() == [0] * 6 + [1] * 6 and streets.names == (
        "street 7",
        "street 2",
    )


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (256, 128), (96, 48)])
def test_every_size_shows_the_same_scene(size):
    height, width = size
    large = make_streets(World(style=0, height=height, width=width), [1], 20, 1, 1).images.float()
    small = make_streets(World(style=0, height=32, width=16), [1], 20, 1, 1).images.float()
    assert large.shape == (20, 3, height, width)
    shrunk = torch.nn.functional.interpolate(large, (32, 16), mode="area")
    same, other = (shrunk - small).abs().mean(), (shrunk - small.roll(1, 0)).abs().mean()
    assert same < 12 < 25 < other


def test_a_kept_set_is_not_drawn_again_and_another_is(tmp_path, monkeypatch):
    drawn = make_streets(World(), [0], 4, cache=tmp_path)
    calls = []
    monkeypatch.setattr(module, "render", lambda world, *_, **__: calls.append(world) or drawn)
    again = make_streets(World(), range(1), 4, cache=str(tmp_path))
    assert not calls and isinstance(again, Streets) and again.names == drawn.names
    assert all(
        torch.equal(tensor, again.tensors()[name]) for name, tensor in drawn.tensors().items()
    )
    make_streets(World(style=0.5), [0], 4, cache=tmp_path)
    make_streets(World(), [1], 4, cache=tmp_path)
    make_streets(World(), [0], 4, cameras=3, cache=tmp_path)
    monkeypatch.setattr(module, "renderer_version", lambda: "another renderer")
    make_streets(World(), [0], 4, cache=tmp_path)
    assert len(calls) == 4


def test_what_cannot_be_drawn_is_said():
    for field, value in dict(
        seed=-1, height=3, style=-0.1, camera_style=-1, colour_identity=1.2, shape_identity=2
    ).items():
        with pytest.raises(ValueError, match=f"World.{field} must be from"):
            World(**{field: value})
    with pytest.raises(ValueError, match="at least one of each"):
        make_streets(World(), [0], 0)
    for domains in ([], [0, 0], [-1]):
        with pytest.raises(ValueError, match="different numbers from 0"):
            make_streets(World(), domains, 1)


def test_query_and_gallery_hold_the_same_people_seen_by_different_cameras():
    query, gallery = query_gallery(make_streets(World(), [0, 1], 4, cameras=3, images_per_camera=2))
    assert set(query.camids.tolist()) == {0} and set(gallery.camids.tolist()) == {1, 2}
    assert set(query.pids.tolist()) == set(gallery.pids.tolist()) == set(range(8))
    with pytest.raises(ValueError, match="all of one"):
        query_gallery(query)


# The knobs


def test_without_style_all_cameras_of_all_streets_are_alike():
    streets = make_streets(World(style=0), range(6), 2, 2, 1)
    assert len(streets.styles.unique(dim=0)) == 1
    neutral = dict(zip(STYLE_NAMES, streets.styles[0].tolist(), strict=True))
    assert neutral == pytest.approx(
        {name: value[0] for name, value in STYLE.items()} | {"background": 0}
    )
    tones = [module.place_camera(World(style=0), domain, 0).tones for domain in range(4)]
    assert not np.any(tones)


def test_styles_grow_in_proportion_to_their_knob():
    def departures(style):
        """How far from neutral 30 streets are, where no limit cuts it off."""
        cameras = [module.place_camera(World(style=style), domain, 1).style for domain in range(30)]
        return np.array(
            [[c[n] - STYLE[n][0] for n in ("gain_red", "gamma", "contrast")] for c in cameras]
        )

    np.testing.assert_allclose(departures(0.5), 0.5 * departures(1.0), atol=1e-9)
    spread = np.array([STYLE[n][1] for n in ("gain_red", "gamma", "contrast")]) * np.hypot(
        1, World().camera_style
    )
    np.testing.assert_allclose(departures(1.0).std(0), spread, rtol=0.35)


def test_cameras_depart_from_their_street_as_far_as_camera_style_says():
    def gains(world, camera):
        return np.array(
            [module.place_camera(world, domain, camera).style["gain_red"] for domain in range(60)]
        )

    assert np.array_equal(gains(World(camera_style=0), 0), gains(World(camera_style=0), 1))
    within, between = (
        (gains(World(), 0) - gains(World(), 1)).std() / 2**0.5,
        gains(World(camera_style=0), 0).std(),
    )
    assert within / between == pytest.approx(0.6, rel=0.35)


def test_neighbouring_streets_are_of_different_kinds():
    kinds = [
        module.place_camera(World(seed=5), domain, 0).background for domain in range(len(SCENES))
    ]
    assert sorted(kinds) == sorted(SCENES)


def test_without_colour_everyone_wears_the_same_colours_and_keeps_their_shape():
    rng = [np.random.default_rng(1) for _ in range(2)]
    plain, told = sets_of_colours(rng[0], colour=0.0, shape=1.0)
    full, also_told = sets_of_colours(rng[1], colour=1.0, shape=1.0)
    for part in ("top", "second", "bottom", "bag", "shoe", "hat", "hair", "skin", "inner"):
        assert np.ptp(plain[f"{part}_rgb"], 1).max() == 0 < np.ptp(full[f"{part}_rgb"], 1).max()
    assert all(not told[f"{part}_colour"].any() for part in PALETTES)
    assert all(np.array_equal(told[name], also_told[name]) for name in (*KINDS, *BUILD))


def test_without_shape_everyone_is_built_and_dressed_alike_and_keeps_their_colours():
    rng = [np.random.default_rng(1) for _ in range(2)]
    alike, told = sets_of_colours(rng[0], colour=1.0, shape=0.0)
    full, _ = sets_of_colours(rng[1], colour=1.0, shape=1.0)
    assert all(not told[kind].any() for kind in KINDS)
    assert all(
        np.ptp(alike[name]) == 0 for name in (*BUILD, "pattern_scale", "opening", "skirt_length")
    )
    assert np.array_equal(alike["top_rgb"], full["top_rgb"])


def test_less_shape_makes_some_people_common_and_changes_nobody_else():
    half, full = (
        draw_identities(np.random.default_rng(2), 400, 1.0, shape)[0] for shape in (0.5, 1.0)
    )
    for kind in KINDS:
        assert set(half[kind][half[kind] != full[kind]]) <= {0}
        kept = (half[kind][full[kind] > 0] > 0).mean()
        assert 0.3 < kept < 0.7


def test_kinds_and_colours_are_met_as_often_as_their_tables_say():
    counts = np.bincount(pick(np.linspace(0, 1, 10_001).astype(np.float32), (3, 0, 1)), minlength=3)
    np.testing.assert_allclose(counts / counts.sum(), [0.75, 0, 0.25], atol=1e-3)
    _, attributes = draw_identities(np.random.default_rng(0), 4000, 1.0, 1.0)
    tops = attributes[:, list(ATTRIBUTES).index("bottom_colour")]
    often = np.array([colour[4] for colour in COLOURS.values()])
    np.testing.assert_allclose(
        np.bincount(tops.astype(int), minlength=len(COLOURS)) / 4000,
        often / often.sum(),
        atol=0.025,
    )


# The ground truth


def test_the_colour_of_a_garment_is_the_colour_in_the_picture():
    streets = make_streets(World(style=0), [0, 1, 2], 40, 1, 1)
    covered = (
        (streets.attribute("pattern") > 0)
        | (streets.attribute("hair") == 2)
        | (streets.attribute("bag") == 1)
    )
    plain = ~covered & (streets.attribute("top") < 3)
    chest = streets.images[plain][:, :, 20:28, 14:18].float().mean((2, 3)) / 255  # (n, 3)
    palette = torch.tensor([colour[:3] for colour in COLOURS.values()])
    told = palette[streets.attribute("top_colour")[plain].long()]
    assert len(told) > 15
    for channel in range(3):
        assert torch.corrcoef(torch.stack([chest[:, channel], told[:, channel]]))[0, 1] > 0.8


def test_a_pattern_can_be_told_from_its_garment():
    _, attributes = draw_identities(np.random.default_rng(0), 500, 1.0, 1.0)
    columns = dict(zip(ATTRIBUTES, attributes.T.astype(int), strict=True))
    palette = np.array([colour[:3] for colour in COLOURS.values()])
    assert (
        np.abs(palette[columns["top_colour"]] - palette[columns["second_colour"]]).sum(1).min()
        > 0.5
    )


def test_every_attribute_is_one_of_its_options():
    streets = make_streets(World(), [0], 40, 1, 1)
    for name, options in ATTRIBUTES.items():
        values = streets.attribute(name)
        if options:
            assert (
                torch.equal(values, values.round())
                and values.min() >= 0
                and values.max() < len(options)
            )
    assert 1.5 < streets.attribute("height").min() and streets.attribute("height").max() < 1.95


def test_the_background_does_not_give_a_person_away():
    """Nearest neighbour by the border pixels finds a person in the other camera hardly more often than by chance."""
    streets = make_streets(World(style=0, camera_style=0), [0], 100, 2, 1)
    border = streets.images[:, :, :, [0, 1, 30, 31]].float().flatten(1)  # (200, 3 * 64 * 4)
    border = border - border.mean(1, keepdim=True)
    query, gallery = border[streets.camids == 0], border[streets.camids == 1]
    hits = (torch.cdist(query, gallery).argmin(1) == torch.arange(100)).float().mean()
    assert hits < 0.06


# The drawings


def canvas_of(height=200, width=100, batch=1, pixel=0.01):
    pixels = np.zeros((3, batch, height, width), np.float32)
    left, top = np.full(batch, -0.5 * width * pixel), np.full(batch, 0.95 * height * pixel)
    return Canvas(pixels, left, top, np.full(batch, pixel), np.zeros(batch))


def area(canvas, box, alpha):
    canvas.paint(box, alpha, np.ones((3, 1, 1, 1), np.float32))
    return canvas.pixels[0].sum((1, 2)) * canvas.pixel[:, 0, 0] ** 2


def test_a_capsule_and_an_ellipse_cover_the_area_that_geometry_says():
    one, canvas = np.ones(1, np.float32), canvas_of()
    box, alpha, *_ = canvas.capsule(
        (-0.2 * one, 0.5 * one), (0.1 * one, 0.9 * one), (0.1 * one, 0.1 * one)
    )
    assert area(canvas, box, alpha) == pytest.approx(np.pi * 0.1**2 + 0.2 * 0.5, rel=0.01)
    canvas = canvas_of()
    box, alpha, *_ = canvas.oval((0.05 * one, 1.0 * one), (0.2 * one, 0.3 * one))
    assert area(canvas, box, alpha) == pytest.approx(np.pi * 0.2 * 0.3, rel=0.02)
    canvas = canvas_of()
    box, alpha, *_ = canvas.body(
        0 * one, [1.5 * one, 1.0 * one, 0.2 * one], [0.1 * one, 0.3 * one, 0.2 * one]
    )
    assert area(canvas, box, alpha) == pytest.approx(
        0.5 * (0.2 + 0.6) / 2 + 0.8 * (0.6 + 0.4) / 2, rel=0.01
    )


def test_a_shape_that_leaves_the_picture_is_cut_and_one_outside_paints_nothing():
    one, canvas = np.ones(1, np.float32), canvas_of()
    box, alpha, *_ = canvas.oval((-0.5 * one, 1.0 * one), (0.2 * one, 0.2 * one))  # half of it
    assert area(canvas, box, alpha) == pytest.approx(np.pi * 0.2**2 / 2, rel=0.02)
    canvas = canvas_of()
    box, alpha, *_ = canvas.oval((9 * one, 1.0 * one), (0.2 * one, 0.2 * one))
    assert area(canvas, box, alpha) == 0


def test_painting_on_some_pictures_leaves_the_others_alone():
    canvas = canvas_of(batch=4)
    part = canvas.only(np.array([1, 3])).only(np.array([1]))  # some of some
    part.ellipse(
        (np.zeros(1), np.ones(1)), (np.full(1, 0.2), np.full(1, 0.2)), np.ones((3, 1), np.float32)
    )
    assert canvas.pixels.sum((0, 2, 3)).nonzero()[0].tolist() == [3]


def figure(yaw, **kinds):
    """One person in white who wears what is said, with red patterns and green bags, on black: (3, H, W)."""
    who, _ = draw_identities(np.random.default_rng(0), 1, 1.0, 0.0)
    who |= {name: np.ones((3, 1), np.float32) for name in who if name.endswith("_rgb")}
    who["second_rgb"], who["bag_rgb"] = np.float32([[1], [0], [0]]), np.float32([[0], [1], [0]])
    who |= {part: np.array([KINDS[part].index(kind)]) for part, kind in kinds.items()}
    pose = {name: np.zeros(1, np.float32) for name in ("tilt", "phase", "stride", "gaze", "light")}
    pose |= dict(
        yaw=np.float32([yaw]),
        arm=np.zeros((2, 1), np.float32),
        elbow=np.full((2, 1), 0.2, np.float32),
    )
    canvas = canvas_of()
    draw_people(canvas, who, pose)
    return canvas.pixels[:, 0]


def only(picture, channel):
    """Pixels where this channel shows and no other does."""
    others = np.delete(picture, channel, 0).max(0)
    return (picture[channel] > 0.3) & (others < 0.5 * picture[channel])


FRONT, RIGHT, BACK = 0.0, np.pi / 2, np.pi


def test_a_logo_is_seen_from_the_front_only():
    seen = [only(figure(yaw, pattern="logo"), 0).sum() for yaw in (FRONT, RIGHT, BACK)]
    assert seen[0] > 100 and seen[1] < 0.3 * seen[0] and seen[2] == 0


def test_stripes_go_round_the_body():
    seen = [only(figure(yaw, pattern="horizontal stripes"), 0).sum() for yaw in (FRONT, BACK)]
    assert seen[0] == pytest.approx(seen[1], rel=0.15) and seen[0] > 300


def test_a_backpack_is_whole_from_behind_and_two_straps_from_the_front():
    front, side, back = (only(figure(yaw, bag="backpack"), 1) for yaw in (FRONT, RIGHT, BACK))
    assert back.sum() > 3 * front.sum() > 0
    assert side[:, :50].sum() > 10 * side[:, 50:].sum()  # behind someone who walks to the right
    middle = front[70:90]  # rows of the chest
    assert middle[:, 45:55].sum() == 0 and middle[:, 30:45].any() and middle[:, 55:70].any()


def test_a_shoulder_bag_hangs_at_the_left_hip():
    front, back = (only(figure(yaw, bag="shoulder bag"), 1)[90:130] for yaw in (FRONT, BACK))
    assert (
        front[:, 55:].sum() > 5 * front[:, :45].sum()
        and back[:, :45].sum() > 5 * back[:, 55:].sum()
    )


def test_a_handbag_is_carried_in_the_right_hand():
    front, back = (only(figure(yaw, bag="handbag"), 1) for yaw in (FRONT, BACK))
    assert (
        front[:, :50].sum() > 100 > front[:, 55:].sum()
        and back[:, 50:].sum() > 100 > back[:, :45].sum()
    )


def test_people_stand_on_the_ground_with_their_height():
    rows = np.flatnonzero(figure(FRONT).max((0, 2)) > 0.2)
    top, bottom = 1.90 - rows[0] * 0.01, 1.90 - (rows[-1] + 1) * 0.01  # metres
    assert top == pytest.approx(1.75, abs=0.05) and bottom == pytest.approx(0.0, abs=0.04)


# The cameras


NEUTRAL = {name: 0.0 for name in STYLE} | {"blur": 0.1, "resolution": 1.0}


def camera(pixels, **style):
    rng = np.random.default_rng(0)
    return through_camera(pixels, NEUTRAL | style, rng).astype(np.float32) / 255


@pytest.fixture
def flat(monkeypatch):
    """Pictures of one colour each, and cameras whose exposure stands still."""
    monkeypatch.setattr("metabin.streets.camera.EXPOSURE", 0.0)
    colours = np.float32([[0.2, 0.5, 0.4], [0.6, 0.3, 0.5]]).T  # (3, B)
    return np.broadcast_to(colours[:, :, None, None], (3, 2, 16, 8)).copy()


def test_each_style_does_what_its_name_says(flat):
    level = 1.5 / 255
    assert camera(flat) == pytest.approx(flat, abs=level)
    gained = camera(flat, gain_red=np.log(1.3), gain_blue=np.log(0.5))
    assert gained == pytest.approx(flat * np.float32([1.3, 1, 0.5]).reshape(3, 1, 1, 1), abs=level)
    assert camera(flat, brightness=0.1) == pytest.approx(flat + 0.1, abs=level)
    assert camera(flat, gamma=np.log(2.0)) == pytest.approx(flat**2, abs=level)
    assert camera(flat, contrast=np.log(0.5)) == pytest.approx(0.225 + 0.5 * flat, abs=level)
    grey = camera(flat, saturation=-20.0)
    assert np.ptp(grey, axis=0).max() <= level and grey[0] == pytest.approx(flat.mean(0), abs=level)
    assert camera(flat, haze=0.5) == pytest.approx(0.5 * flat + 0.36, abs=level)
    assert camera(flat, noise=0.05).std((0, 2, 3)) == pytest.approx(flat.std((0, 2, 3)), abs=0.03)
    assert (camera(flat, noise=0.05) - flat).std() == pytest.approx(0.05, rel=0.1)
    assert camera(flat, blur=1.5, resolution=0.5) == pytest.approx(
        flat, abs=level
    )  # nothing to blur


def test_the_blur_is_scipys():
    pixels = np.random.default_rng(0).random((3, 2, 24, 12)).astype(np.float32)
    for sigma in (0.4, 1.0, 2.3):
        radius = int(np.ceil(2.5 * sigma))
        expected = ndimage.gaussian_filter(
            pixels, (0, 0, sigma, sigma), mode="nearest", radius=radius
        )
        assert blur(pixels, sigma) == pytest.approx(expected, abs=1e-5)


def test_a_coarser_picture_has_fewer_rows_of_its_own():
    pixels = np.random.default_rng(0).random((1, 1, 64, 32)).astype(np.float32)
    ranks = [
        np.linalg.matrix_rank(coarsen(pixels, share)[0, 0].astype(np.float64), tol=1e-5)
        for share in (1, 0.5, 0.25)
    ]
    assert ranks == [32, 16, 8]
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None], (1, 1, 64, 32))
    assert np.abs(coarsen(ramp, 0.5)[0, 0, 2:-2] - ramp[0, 0, 2:-2]).max() <= 1  # no shift


def test_nothing_is_divided_by_zero_and_no_picture_is_empty():
    extremes = [
        World(),
        World(style=4, seed=9),
        World(style=0, shape_identity=0, colour_identity=0),
        World(height=16, width=8),
    ]
    for world in extremes:
        for domain in range(4):
            with np.errstate(invalid="raise", divide="raise", over="raise"):
                images, *_ = module.render_block(replace(world, camera_style=1.0), domain, 0, 0, 0)
            assert images.std((1, 2, 3)).min() > 2
