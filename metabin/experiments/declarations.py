"""The paper's tables and figures as data: rows, and what the paper's numbers say of them."""

from dataclasses import replace

from metabin.experiments import curves, question, tables
from metabin.experiments.rows import Experiment, Row

EXPERIMENTS = {
    "table1": tables.TABLE_1,
    "table2": tables.TABLE_2,
    "table3": tables.TABLE_3,
    "table4": tables.TABLE_4,
    "table5": tables.TABLE_5,
    "figure2": curves.FIGURE_2,
    "figure6": curves.FIGURE_6,
    "figure8": curves.FIGURE_8,
    "figure10": curves.FIGURE_10,
    "question": question.QUESTION,
    "second_look": question.SECOND_LOOK,
}
WORLDS = 10  # of finished trainings
HALF = "fixed at half of the range"  # says nothing that its neighbours don't


def _finished(table: Experiment, rows: tuple[Row, ...] = ()) -> Experiment:
    """A table of finished trainings: other rows where they are given, and more worlds."""
    title = f"{table.title}; finished trainings"
    return replace(table, title=title, rows=rows or table.rows, seeds=WORLDS)


FINISHED_EXPERIMENTS = {
    "table1": _finished(tables.TABLE_1, tables.TABLE_1.rows + tables.FURTHER),
    "table3": _finished(
        tables.TABLE_3, tuple(row for row in tables.TABLE_3.rows if row.name != HALF)
    ),
    "table4": _finished(tables.TABLE_4),
    "table5": _finished(tables.TABLE_5),
    "question": question.FINISHED_QUESTION,
}
OF_FINISHED_TRAININGS = {  # in every profile
    "figure4": curves.FIGURE_4,
    "figure9": curves.FIGURE_9,
    "push": curves.PUSH,
}
