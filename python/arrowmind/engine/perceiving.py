"""The part of the engine that sees and hears: encode images and sound, and write down speech."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.engine.senses import Senses
    from arrowmind.engine.transcribing import Transcriber
    from arrowmind.media.images import ImageSource
    from arrowmind.media.sounds import SoundSource

__all__ = ["Perceives"]

# Images of a call of the model; the next ones are decoded meanwhile.
_SLICE_IMAGES = 16
_SLICE_SOUNDS = 8
# Files and arrays read together: what they unpack to may be several times as much, twice.
_SLICE_BYTES = 16 << 20
_MOST_MARGIN = 30.0


class Perceives:
    """Methods of an engine over a model of images or sound."""

    def __init__(self) -> None:
        """Makes what transcribes when it is first asked for."""
        self._transcriber_lock = threading.Lock()
        self._made_transcriber: Transcriber | None = None

    @property
    def perception(self) -> Senses:
        """The towers of the model.

        Raises:
            InvalidArgumentError: It reads text alone.
        """
        raise NotImplementedError

    def _make_transcriber(self) -> Transcriber:
        raise NotImplementedError

    @property
    def transcriber(self) -> Transcriber:
        """What writes transcripts, made when it is first asked for.

        Raises:
            InvalidArgumentError: The model writes none.
            TokenizerError: Its tokenizer lacks the tokens that begin and end a transcript.
        """
        self.perception.tower("transcript")
        with self._transcriber_lock:
            if self._made_transcriber is None:
                self._made_transcriber = self._make_transcriber()
            return self._made_transcriber

    def encode_image(
        self,
        images: ImageSource | Sequence[ImageSource],
        normalize: bool = True,  # noqa: FBT001 - as of encode()
        show_progress: bool = False,  # noqa: FBT001 - as of encode()
    ) -> NDArray[np.float32]:
        """Embeddings of images.

        Args:
            images: One image or a list of them, each a path, the bytes of a file (JPEG, PNG, WebP, BMP, the
                first picture of a GIF), an image of Pillow, or an array [height, width, 3] of uint8 or of
                floats of 0 to 1; an array [n, height, width, 3] is n images. Pillow is needed.
            normalize: Scale each embedding to length 1.
            show_progress: Draw a progress bar on standard error.

        Returns:
            float32 [n, dimension]; one image gives n = 1.

        Raises:
            InvalidArgumentError: The model sees no images, or one is damaged, too large or of another kind.
        """
        import numpy as np  # noqa: PLC0415  weights are read before

        senses = self.perception
        tower, listed = senses.tower("image"), _listed(images, 3)
        result = np.empty((len(listed), tower.columns), dtype=np.float32)
        with progress_bar(enabled=show_progress) as progress:
            for part, pixels in _ahead(listed, _SLICE_IMAGES, senses.pixels):
                result[part] = senses.images(pixels, normalize=normalize)
                progress(part.stop, len(listed), "encoding")
        return result

    def encode_audio(
        self,
        audio: SoundSource | Sequence[SoundSource],
        rate: int | None = None,
        normalize: bool = True,  # noqa: FBT001 - as of encode()
        margin: float = 1.0,
        show_progress: bool = False,  # noqa: FBT001 - as of encode()
    ) -> NDArray[np.float32]:
        """Embeddings of sounds: the mean of what the encoder makes of each 20 ms.

        Args:
            audio: One sound or a list of them, each a path, the bytes of a file (WAV; FLAC, Ogg and MP3 with
                `arrowmind[media]`), or an array [samples] or [samples, channels] of floats or int16.
            rate: Samples a second of arrays; None for 16,000. Files say it themselves.
            normalize: Scale each embedding to length 1.
            margin: Seconds of silence that the encoder reads behind a sound; it is computed but not counted.
                30 reads as much as the model was trained with.
            show_progress: Draw a progress bar on standard error.

        Returns:
            float32 [n, dimension]; one sound gives n = 1.

        Raises:
            InvalidArgumentError: The model hears no sound, `margin` is out of range, or a sound is empty,
                damaged, too long, of another kind, or holds NaN.
        """
        import numpy as np  # noqa: PLC0415  weights are read before

        from arrowmind.media import read_sound  # noqa: PLC0415  most models hear nothing

        senses = self.perception
        tower, listed, margin = senses.tower("sound"), _listed(audio, 2), _margin(margin)
        result = np.empty((len(listed), tower.columns), dtype=np.float32)
        with progress_bar(enabled=show_progress) as progress:
            for part, sounds in _ahead(listed, _SLICE_SOUNDS, lambda one: read_sound(one, rate)):
                result[part] = senses.sounds(sounds, margin)
                progress(part.stop, len(listed), "encoding")
        if normalize:
            result /= np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)
        return result

    def transcribe(
        self,
        audio: SoundSource,
        rate: int | None = None,
        language: str | None = None,
        task: str = "transcribe",
        margin: float = 1.0,
    ) -> str:
        """What is said in a sound.

        Args:
            audio: As of `encode_audio`, one sound. What is longer than the model reads at a time is cut where
                it is quiet.
            rate: Samples a second of an array; None for 16,000.
            language: Such as `en`; None lets the model decide on the first piece.
            task: `transcribe`, or `translate` into English.
            margin: As of `encode_audio`.

        Returns:
            The text, the likeliest token at each place.

        Raises:
            InvalidArgumentError: The model writes no transcripts, does not know the language or task, or the
                sound cannot be read.
        """
        from arrowmind.media import read_sound  # noqa: PLC0415  most models hear nothing

        self.perception.tower("transcript")
        sounds = _listed(audio, 2)
        if len(sounds) != 1:
            raise InvalidArgumentError(f"transcribe was given {len(sounds)} sounds; give one at a time")
        return self.transcriber.transcribe(
            read_sound(sounds[0], rate), language=language, task=task, margin=_margin(margin)
        )


def _margin(margin: object) -> float:
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin <= _MOST_MARGIN:
        raise InvalidArgumentError(f"margin={margin!r}; use 0 to {_MOST_MARGIN:g} seconds")
    return float(margin)


def _listed(given: Any, dimensions: int) -> list[Any]:
    """One thing or a sequence of them as a list; an array of more dimensions is a sequence."""
    import numpy as np  # noqa: PLC0415  weights are read before

    if isinstance(given, np.ndarray):
        return list(given) if given.ndim > dimensions else [given]
    if isinstance(given, str | bytes | bytearray | memoryview | os.PathLike):
        return [given]
    # An image of Pillow is no sequence.
    return list(given) if isinstance(given, list | tuple) or hasattr(given, "__next__") else [given]


def _ahead(
    listed: list[Any], size: int, read: Callable[[Any], NDArray[np.float32]]
) -> Iterator[tuple[slice, list[NDArray[np.float32]]]]:
    """Slices of `listed`, read; the next slice is read while the caller computes."""
    parts = list(_slices([_bytes(one) for one in listed], size))

    def read_all(part: slice) -> list[NDArray[np.float32]]:
        return [_named(read, listed[place], place, len(listed)) for place in range(part.start, part.stop)]

    if len(parts) < 2:
        for part in parts:
            yield part, read_all(part)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  not needed for the first one

    with ThreadPoolExecutor(1, "arrowmind-media") as ahead:
        pending = ahead.submit(read_all, parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            found = pending.result()
            if following is not None:
                pending = ahead.submit(read_all, following)
            yield part, found


def _slices(sizes: list[int], most: int) -> Iterator[slice]:
    """Consecutive slices of at most `most` things and about `_SLICE_BYTES`, each at least one thing."""
    begin, held = 0, 0
    for place, size in enumerate(sizes):
        if place > begin and (place - begin == most or held + size > _SLICE_BYTES):
            yield slice(begin, place)
            begin, held = place, 0
        held += size
    if begin < len(sizes):
        yield slice(begin, len(sizes))


def _bytes(source: Any) -> int:
    """Bytes of a source as it is given; 0 where nobody knows: reading it tells what is wrong."""
    import numpy as np  # noqa: PLC0415  weights are read before

    if isinstance(source, np.ndarray):
        return source.nbytes
    if isinstance(source, bytes | bytearray | memoryview):
        return len(source)
    try:
        return Path(source).stat().st_size
    except (OSError, TypeError, ValueError):
        return 0


def _named(
    read: Callable[[Any], NDArray[np.float32]], source: Any, place: int, count: int
) -> NDArray[np.float32]:
    try:
        return read(source)
    except InvalidArgumentError as error:
        if count == 1:
            raise
        raise InvalidArgumentError(f"number {place + 1} of {count}: {error}") from error
