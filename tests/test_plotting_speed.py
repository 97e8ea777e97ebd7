"""The drawing of how near training is to what a machine could do."""

import pytest

from metabin.plotting.speed import draw_speed, phase_parts

ROW = {"base_ms": 900.0, "meta_train_ms": 400.0, "meta_test_ms": 100.0}
ROW |= {
    "gflop": {"base": 30.0, "meta-train": 10.0, "meta": 16.0},
    "norms_gb": {"base": 4.0, "meta-train": 2.0, "meta": 3.0},
}
LIMITS = {"flops": 1e11, "bytes": 2e10}


def test_a_phases_time_is_its_arithmetic_its_bytes_and_the_rest():
    parts = phase_parts(ROW, LIMITS)
    assert parts["base"] == pytest.approx([300, 200, 400])
    assert parts["meta-train"] == pytest.approx([100, 100, 200])
    # In the caches, faster than memory would allow.
    assert parts["meta-test"] == pytest.approx([60, 50, -10])


def test_the_bars_are_stacked_and_end_where_the_phase_or_its_limit_does():
    axis = draw_speed(ROW, LIMITS).axes[0]
    widths = [[bar.get_width() for bar in part] for part in axis.containers]
    expected = [300, 100, 60], [200, 100, 50], [400, 200, 0]
    assert widths == [pytest.approx(part) for part in expected]
    assert [bar.get_x() for bar in axis.containers[2]] == pytest.approx([500, 200, 110])
    said = [text.get_text().strip() for text in axis.texts]
    assert said == ["900 ms, 1.8 × the least", "400 ms, 2.0 × the least", "100 ms, 0.9 × the least"]
