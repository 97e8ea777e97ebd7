"""Real data sets: one small reader each."""

from metabin.datasets.market1501 import read_market1501, write_market1501

__all__ = ["read_market1501", "write_market1501"]
