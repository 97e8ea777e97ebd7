"""Retrieval, reports under a protocol, and how sure of a number one can be."""

from metabin.evaluate.intervals import bootstrap_interval, paired_difference, paired_interval
from metabin.evaluate.retrieval import Retrieval, evaluate, extract_features

__all__ = [
    "Retrieval",
    "bootstrap_interval",
    "evaluate",
    "extract_features",
    "paired_difference",
    "paired_interval",
]
