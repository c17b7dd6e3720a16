"""Images and sound from files, bytes and arrays, within limits, in the form that models read."""

from __future__ import annotations

from arrowmind.media.images import ImageLimits, open_image, prepare_image
from arrowmind.media.sounds import RATE, SoundLimits, read_sound
from arrowmind.media.spectrogram import log_mel

__all__ = ["RATE", "ImageLimits", "SoundLimits", "log_mel", "open_image", "prepare_image", "read_sound"]
