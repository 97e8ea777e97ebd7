"""Real data sets: one small reader each, from the folders that people have; and the doctor."""

from metabin.datasets.dataset import DataSet
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.market1501 import write_market1501
from metabin.datasets.own import list_own
from metabin.datasets.sets import SETS

__all__ = ["SETS", "DataSet", "Listing", "Picture", "list_own", "write_market1501"]
