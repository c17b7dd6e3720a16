"""Texts that a decoder writes itself, for a training without any: tokens drawn at temperature 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from arrowmind.observe import get_logger
from arrowmind.quantize.distill.decoder_forward import Cache, forward, logits
from arrowmind.quantize.distill.side_by_side import SideBySide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.observe import Progress
    from arrowmind.quantize.distill.decoder_forward import Tensors

__all__ = ["draw"]

_log = get_logger("arrowmind.quantize")
# Floats of keys and values that sequences drawn together hold at most, and how many draw side by side.
_HELD = 1 << 25
_TOGETHER, _SIDE_BY_SIDE = 256, 2
# Seeds of what is drawn after each other are so far apart.
_ROUNDS = 1_000_003


def draw(
    model: DecoderSpec,
    tensors: Tensors,
    begin: Sequence[int],
    *,
    tokens: int,
    length: int,
    seed: int,
    progress: Progress,
) -> list[list[int]]:
    """Sequences that the model writes.

    Args:
        model: that writes.
        tensors: gives its tensors by name.
        begin: token ids that each text begins with; none draws the first of the whole vocabulary.
        tokens: in all, about.
        length: of a sequence.
        seed: equal seeds draw equal tokens, with equal threads and versions.
        progress: told of tokens drawn.
    """
    held = 2 * length * sum(block.attention.key_heads * block.attention.head_dim for block in model.blocks)
    together = max(1, min(_TOGETHER, -(-tokens // length), _HELD // held))

    def drawn(round_: int) -> list[list[int]]:
        chance = torch.Generator().manual_seed(seed + _ROUNDS * round_)
        with torch.no_grad():
            ids: list[list[int]] = _rows(model, tensors, begin, (together, length), chance).tolist()
        return ids

    found: list[list[int]] = []
    with SideBySide(_SIDE_BY_SIDE) as threads:
        for ids in threads.map(drawn, range(-(-tokens // (together * length)))):
            found.extend(ids)
            progress(min(tokens, len(found) * length), tokens, "drawing texts")
    _log.info("texts drawn from the model itself", sequences=len(found), tokens=len(found) * length)
    return found


def _rows(
    model: DecoderSpec, tensors: Tensors, begin: Sequence[int], shape: tuple[int, int], chance: Any
) -> Any:
    together, length = shape
    if begin:
        ids = torch.tensor([list(begin)] * together)
    else:
        ids = torch.randint(model.vocabulary, (together, 1), generator=chance)
    cache, new = Cache(length), ids
    while ids.shape[1] < length:
        last = forward(model, tensors, new, cache)[-1][:, -1]
        shares = logits(model, tensors, last).softmax(-1)
        new = torch.multinomial(shares, 1, generator=chance)
        ids = torch.cat([ids, new], 1)
    return ids[:, :length]
