"""Synthetic streets: a Re-ID world whose identities and styles we know because we drew them.

A *street* is a domain: a style (what its cameras do to colours and sharpness) and a kind of
background. People walk through it and are seen by several cameras. `world` says what is asked for
and puts it together, `identities` who walks there, `people` (with `bodies`, `heads`, `garments`)
draws them by the means of `drawing`, `scenery` and `obstacles` draw what surrounds them, and
`camera` is what sees it all.
"""

from metabin.streets.camera import STYLE, through_camera
from metabin.streets.identities import ATTRIBUTES
from metabin.streets.scenery import BACKGROUNDS
from metabin.streets.world import STYLE_NAMES, Streets, World, make_streets, query_gallery

__all__ = [
    "ATTRIBUTES",
    "BACKGROUNDS",
    "STYLE",
    "STYLE_NAMES",
    "Streets",
    "World",
    "make_streets",
    "query_gallery",
    "through_camera",
]
