"""Random numbers by address: Philox 4x64-10 (Salmon et al., 2011), a keyed bijection of a counter.

The number at (seed, stream, position) needs no state, so it is the same whatever else is generated beside it,
after a token was drafted and refused, and after a sequence was moved.
"""

from __future__ import annotations

__all__ = ["uniform"]

_WORD = (1 << 64) - 1
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10


def block(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """The four 64-bit words at `counter` under `key`."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        first = _MULTIPLIERS[0] * c0
        second = _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (second >> 64) ^ c1 ^ k0,
            second & _WORD,
            (first >> 64) ^ c3 ^ k1,
            first & _WORD,
        )
        k0 = (k0 + _WEYL[0]) & _WORD
        k1 = (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


def uniform(seed: int, stream: int, position: int) -> float:
    """A number in [0, 1) with 53 random bits."""
    word = block((position & _WORD, 0, 0, 0), (seed & _WORD, stream & _WORD))[0]
    return (word >> 11) * 2.0**-53
