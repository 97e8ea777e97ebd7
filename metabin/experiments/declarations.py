"""The paper's tables and figures as data: rows, and what the paper's numbers say of them."""

from metabin.experiments import curves, question, tables

EXPERIMENTS = {
    "table1": tables.TABLE_1,
    "table2": tables.TABLE_2,
    "table3": tables.TABLE_3,
    "table4": tables.TABLE_4,
    "table5": tables.TABLE_5,
    "figure2": curves.FIGURE_2,
    "figure4": curves.FIGURE_4,
    "figure6": curves.FIGURE_6,
    "figure8": curves.FIGURE_8,
    "figure9": curves.FIGURE_9,
    "figure10": curves.FIGURE_10,
    "question": question.QUESTION,
    "second_look": question.SECOND_LOOK,
}
