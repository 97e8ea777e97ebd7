"""Committed reports: found by name, compared row by row; how many worlds a difference takes."""

import json

import pytest
import torch
from scipy import stats

from metabin.experiments import results


def test_missing_results_name_the_command_that_makes_them(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="make tables EXPERIMENT=table1"):
        results.read_results("table1")


def test_reports_that_are_there_are_known_by_experiment_and_profile(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    for name, profile in {"table3": "demo", "table3-gpu": "gpu", "table1": "demo"}.items():
        report = {"profile": profile, "claims": [], "rows": []}
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    (tmp_path / "bench.json").write_text('{"verdict": "fast"}')  # without rows and claims
    assert set(results.known_results()) == {"table1", "table3"}
    assert results.known_results("gpu") == {"table3": {"profile": "gpu", "claims": [], "rows": []}}


def test_all_rows_of_a_report_can_be_compared_with_any_of_them():
    rates = {"BN": [0.2, 0.4], "IN": [0.5, 0.6], "BIN": [0.6, 0.9]}
    rows = [{"name": name, "metrics": {"rank1": r, "mAP": r}} for name, r in rates.items()]
    report = {"title": "T", "rows": rows, "claims": []}
    claims = results.compared(report, "IN")["claims"]
    assert [(c["better"], round(c["rank1"][0], 9)) for c in claims] == [("BN", -0.25), ("BIN", 0.2)]
    assert [c["better"] for c in results.compared(report, "BN", ["BIN"])["claims"]] == ["BIN"]
    with pytest.raises(ValueError, match="no row 'Half': choose one of BN, IN, BIN"):
        results.compared(report, "Half")


@pytest.mark.parametrize(
    ("spread", "difference", "power"), [(2.0, 5.0, 0.8), (1.0, 1.0, 0.8), (2.0, 1.0, 0.5)]
)
def test_with_as_many_worlds_as_needed_a_difference_is_seen_as_often_as_wanted(
    spread, difference, power
):
    generator = torch.Generator().manual_seed(0)

    def seen(worlds: int) -> float:
        noise = torch.randn(20_000, worlds, generator=generator, dtype=torch.float64)
        draws = difference + spread * noise
        half = stats.t.ppf(0.975, worlds - 1) * draws.std(1) / worlds**0.5
        return (draws.mean(1) > half).double().mean().item()

    needed = results.worlds_needed(spread, difference, power)
    assert seen(needed) > power - 0.01 and seen(needed - 1) < power + 0.01
    with pytest.raises(ValueError, match="above zero"):
        results.worlds_needed(spread, 0.0)
