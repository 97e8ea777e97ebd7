"""One query seen by another camera: what becomes of its feature and of its rank list.

Size letters: Q queries, G gallery images, D feature channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metabin.analysis.readings import restyle
from metabin.data.images import ImageSet
from metabin.evaluate.retrieval import extract_features, retrieval
from metabin.networks.model import ReIDModel


@dataclass(frozen=True, eq=False)
class Seen:
    """What one network makes of a query in another style."""

    neutral: Tensor  # (D,) the query's feature in the neutral style, of length 1
    feature: Tensor  # (D,) and in this one
    order: Tensor  # (G,) the gallery's rows, most similar first
    right: Tensor  # (G,) which of these show the query's person

    @property
    def kept(self) -> float:
        """The cosine between the feature now and the neutral one."""
        return (self.neutral @ self.feature).item()

    @property
    def rank(self) -> int:
        """Where in the list the first right picture stands, from 1."""
        return int(self.right.int().argmax()) + 1


class StyleMixer:
    """Queries that can be seen in any style, and a fixed gallery, under several networks.

    Raises ValueError where a query's person isn't in the gallery.
    """

    def __init__(
        self, models: Mapping[str, ReIDModel], queries: ImageSet, gallery: ImageSet, seed: int = 0
    ):
        if not torch.isin(queries.pids, gallery.pids).all():
            raise ValueError(
                "every query needs a picture of its person in the gallery: here some have none"
            )
        self.models, self.queries, self.gallery, self.seed = models, queries, gallery, seed
        self._gallery = self._features(gallery)  # (G, D) each
        self._neutral = self._features(self._restyled(queries, {}))  # (Q, D) each

    def see(self, number: int, **style: float) -> tuple[Tensor, dict[str, Seen]]:
        """One query (3, H, W) seen by a camera of this style, and what each network makes of it."""
        query = self._restyled(self.queries[number : number + 1], style)
        same = self.gallery.pids == query.pids  # (G,)
        seen = {}
        for name, [feature] in self._features(query).items():  # (D,)
            order = (self._gallery[name] @ feature).argsort(descending=True, stable=True)  # (G,)
            seen[name] = Seen(self._neutral[name][number], feature, order, same[order])
        return query.images[0], seen

    def rank1(self, **style: float) -> dict[str, float]:
        """The share of queries whose most similar picture is right, by network."""
        queries = self._restyled(self.queries, style)
        rates = {}
        for name, features in self._features(queries).items():
            found = retrieval(features, self._gallery[name], queries.pids, self.gallery.pids)
            rates[name] = found.rank1
        return rates

    def _features(self, images: ImageSet) -> dict[str, Tensor]:
        return {name: extract_features(model, images) for name, model in self.models.items()}

    def _restyled(self, queries: ImageSet, style: dict[str, float]) -> ImageSet:
        # One picture at a time: the camera's noise must not depend on who else is seen.
        pictures = [restyle(image[None], self.seed, **style) for image in queries.images]
        return replace(queries, images=torch.cat(pictures))
