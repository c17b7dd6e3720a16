"""Options of commands that work with images and sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from arrowmind.cli.groups import OptionGroup

__all__ = ["MediaModels"]


@dataclass(frozen=True)
class MediaModels(OptionGroup):
    """Models beside that of texts."""

    title = "Images and sounds"

    image_model: Annotated[
        str | None, typer.Option("--image-model", help="Model folder that makes vectors of images.")
    ] = None
    audio_model: Annotated[
        str | None, typer.Option("--audio-model", help="Model folder that makes vectors of sounds.")
    ] = None
