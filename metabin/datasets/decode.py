"""One picture from a file to RGB with 8 bits a channel, upright and cut out. Needs no torch."""

import numpy as np
from PIL import Image, ImageOps

from metabin.datasets.listing import Picture

Size = tuple[int, int]  # (H, W)
Box = tuple[int, int, int, int]  # (left, top, right, bottom)
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N")  # 16 bits a pixel


def decode(picture: Picture, size: Size) -> np.ndarray:
    """One picture in RGB, resized bilinearly to (H, W): (3, H, W) uint8.

    Raises ValueError that names the file when it can't be read.
    """
    height, width = size
    try:
        image = read_rgb(picture, 2 * max(size))  # twice the size, whichever way up it is
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    except Exception as error:  # damaged files make decoders raise nearly anything
        inside = f" ({picture.inside})" if picture.inside else ""
        raise ValueError(
            f"cannot read the picture {picture.file}{inside}: {error or type(error).__name__}. "
            "Copy it again from where the set came from, or remove it. All such files are listed "
            "by: python -m metabin data check --data-root …"
        ) from None
    return np.asarray(image).transpose(2, 0, 1)  # (3, H, W)


def read_rgb(picture: Picture, least: int) -> Image.Image:
    """The picture upright, in RGB and cut out.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where that still has `least` pixels on each side.
    """
    with open_picture(picture) as image:
        if picture.box is None:
            image.draft(None, (least, least))
        image = to_rgb(ImageOps.exif_transpose(image))
    return image if picture.box is None else image.crop(box_within(picture.box, *image.size))


def box_within(box: Box, width: int, height: int) -> Box:
    """What lies within the image of a box. Raises ValueError when that is nothing."""
    left, top, right, bottom = box
    inside = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"nothing of the box {box} lies within {width}x{height} pixels")
    return inside


def open_picture(picture: Picture) -> Image.Image:
    if picture.inside is None:
        return Image.open(picture.file)
    from metabin.datasets.cuhk03 import read_inside  # needs h5py, which only this set does

    return Image.fromarray(read_inside(picture.file, picture.inside))


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: 16 bits a pixel are scaled to 8, transparent pixels are laid over white.

    Raises ValueError for pixels whose range nobody knows (32-bit numbers).
    """
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are 32-bit numbers (mode {image.mode}) whose range is not told: save it "
            "with 8 bits a channel"
        )
    if image.mode in DEEP_GREY:
        grey = np.asarray(image).astype(np.float64) / 257  # 65535 becomes 255
        image = Image.fromarray(grey.round().astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def change_of_pixels(image: Image.Image) -> str:
    """What `to_rgb` changes beyond the choice of a colour space; "" where it is nothing."""
    if image.mode in DEEP_GREY:
        return "with 16 bits a pixel, scaled to 8"
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < 255:
            return "with transparent pixels, laid over white"
    return ""
