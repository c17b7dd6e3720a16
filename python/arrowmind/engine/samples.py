"""What a model of several senses is calibrated and checked on: texts, and what they stand for.

A text `image:PATH` or `audio:PATH` stands for a file. Where none stands for a sense of the model, each text
stands for an image, or a sound, drawn from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.drawing import drawn_image, drawn_sound
from arrowmind.frozen import dataclass
from arrowmind.media import read_sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.media.images import ImageSource

__all__ = ["Samples"]

_IMAGE, _SOUND = "image:", "audio:"


@dataclass(frozen=True)
class Samples:
    """Samples of each sense, read when they are asked for.

    Attributes:
        texts: plain ones.
        image_names: what images are called.
        sound_names: what sounds are called.
    """

    texts: list[str]
    image_names: list[str]
    sound_names: list[str]

    @classmethod
    def of(cls, given: Sequence[str]) -> Samples:
        """What a list of texts stands for."""
        images = [one for one in given if one.startswith(_IMAGE)]
        sounds = [one for one in given if one.startswith(_SOUND)]
        texts = [one for one in given if not one.startswith((_IMAGE, _SOUND))]
        return cls(texts, images or texts, sounds or texts)

    def image(self, name: str) -> ImageSource:
        """The image called `name`."""
        return name.removeprefix(_IMAGE) if name.startswith(_IMAGE) else drawn_image(name)

    def sound(self, name: str) -> NDArray[np.float32]:
        """The sound called `name`, at the rate that models read.

        Raises:
            InvalidArgumentError: its file cannot be read.
        """
        return read_sound(name.removeprefix(_SOUND)) if name.startswith(_SOUND) else drawn_sound(name)
