"""The experiments' reports in a lesson: what is drawn, printed and recorded of them."""

import pytest

from metabin.course import reports

ROWS = [{"name": "A", "paper": [60.0, 70.0]}, {"name": "B", "paper": [50.0, 60.0]}]
ROWS.append({"name": "C", "paper": []})
CLAIMS = [
    {"better": "A", "worse": "B", "rank1": [0.05, 0.01, 0.09]},
    {"better": "A", "worse": "C", "rank1": [0.02, -0.01, 0.05]},
    {"better": "C", "worse": "B", "rank1": [-0.04, -0.06, -0.02]},
]
REPORT = {"title": "a table", "rows": ROWS, "claims": CLAIMS}


@pytest.fixture
def shown(monkeypatch):
    """What a lesson would see: figures' alt texts, and records."""
    seen = {"alt": [], "records": {}}
    monkeypatch.setattr(reports, "figure", lambda drawn, alt: seen["alt"].append((drawn, alt)))
    monkeypatch.setattr(reports, "record", seen["records"].__setitem__)
    monkeypatch.setattr(reports, "known_results", lambda profile: {"table9": REPORT})
    return seen


def test_a_report_is_drawn_its_claims_are_told_and_those_shown_are_counted(shown, capsys):
    assert reports.Reports("demo").show("table9", lambda report: report["title"]) is REPORT
    assert shown["alt"] == [("a table", reports.ALT.format("a table"))]
    assert capsys.readouterr().out.splitlines() == [
        "| Rank-1 | points, 95 % CI |  | paper |",
        "| --- | --- | --- | --- |",
        "| A − B | +5.0 [+1.0, +9.0] | shown | +10.0 |",
        "| A − C | +2.0 [-1.0, +5.0] | undecided |  |",
        "| C − B | -4.0 [-6.0, -2.0] | the other way round |  |",
    ]
    assert shown["records"] == {"demo_table9_shown": [1, 3]}


def test_a_report_that_is_not_there_is_said_with_the_command_that_makes_it(shown, capsys):
    assert reports.Reports("finished").show("table1") is None
    said = "table1: not run (make tables EXPERIMENT=table1 PROFILE=finished)\n"
    assert capsys.readouterr().out == said and not shown["alt"] and not shown["records"]
    reports.Reports("demo").show("table1")
    assert capsys.readouterr().out == "table1: not run (make tables EXPERIMENT=table1)\n"


def test_differences_of_finished_trainings_are_paired_in_each_test():
    def row(name, unseen, far, home):
        also = {test: {"metrics": metrics(rates)} for test, rates in (("far", far), ("home", home))}
        return {"name": name, "metrics": metrics(unseen), "also": also}

    def metrics(rates):
        return {"rank1": rates, "mAP": rates}

    a = row("A", [0.5, 0.7], [0.2, 0.4], [0.9, 0.9])
    b = row("B", [0.4, 0.6], [0.1, 0.1], [0.9, 0.9])
    gaps = reports.differences({"rows": [a, b]}, [("A", "B"), ("A", "C")])
    assert list(gaps) == ["A − B, unseen", "A − B, far", "A − B, home"]
    assert [gap[0] for gap in gaps.values()] == pytest.approx([0.1, 0.2, 0])
