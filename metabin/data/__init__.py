"""Person images in memory, augmentation on whole batches, and mini-batches of them."""

from metabin.data.images import ImageSet, cameras_as_domains, concat_sets, place, relabel

__all__ = ["ImageSet", "cameras_as_domains", "concat_sets", "place", "relabel"]
