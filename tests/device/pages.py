"""Sequences in pages as kernels of devices have them, and what NumPy makes of their bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.device.bench import Bench, Out, block
from tests.device.test_kernels import floats, padded_rows

PAGE = 16
KINDS = ["fp32", "fp16", "int8", "k4v4", "k4v3"]
SMALL = ("k4v4", "k4v3")
LENGTHS = [1, 40, 7, 100]
FIRST_SMALL, RECENT = 1, 20
DROPPED = {1: [], 3: [1, 2]}
"""By sequence the pages that are small alone, where pages become small."""
_NO_PAGE = np.uint32(0xFFFFFFFF)


class Layout(NamedTuple):
    """How one kind of pages holds a head of keys; two layers lie in a page, of which the second is used."""

    kind: str
    key_heads: int
    dim: int

    @property
    def scaled(self) -> bool:
        return self.kind in ("int8", *SMALL)

    def members(self) -> dict[str, int]:
        pieces = PAGE * -(-self.dim // 16)
        keys, values = {"fp32": (64, 64), "fp16": (32, 32), "int8": (16, 16), "k4v4": (8, 8), "k4v3": (8, 6)}[
            self.kind
        ]
        scales = pieces * (keys + values)
        part = -(-(scales + (4 * PAGE if self.scaled else 0)) // 64) * 64
        return {
            "format": KINDS.index(self.kind),
            "first_byte": self.key_heads * part,
            "head_bytes": part,
            "values": pieces * keys,
            "key_scales": scales,
            "value_scales": scales + (2 * PAGE if self.scaled else 0),
        }

    @property
    def words(self) -> int:
        return 2 * self.key_heads * self.members()["head_bytes"] // 4

    def named(self, name: str) -> dict[str, int]:
        return {f"{name}_{member}": value for member, value in self.members().items()}

    def decoded(self, page: np.ndarray, head: int) -> np.ndarray:
        """Keys and values of a head in a page of words, float64 [2, PAGE, dim], as they are stored."""
        at = self.members()
        data = page.view(np.uint8)[at["first_byte"] + head * at["head_bytes"] :][: at["head_bytes"]]
        width, values = -(-self.dim // 16) * 16, self.kind == "k4v3"
        keys = self._elements(data[: at["values"]], three=False).reshape(PAGE // 16, width, 16)
        rows = self._elements(data[at["values"] : at["key_scales"]], three=values).reshape(-1, PAGE, 16)
        found = np.stack([keys.transpose(0, 2, 1).reshape(PAGE, width), np.hstack(list(rows))])
        if self.scaled:
            steps = data[at["key_scales"] :][: 4 * PAGE].view(np.float16).astype(np.float64)
            found *= steps.reshape(2, PAGE, 1)
        return found[:, :, : self.dim]

    def _elements(self, data: np.ndarray, *, three: bool) -> np.ndarray:
        if not self.scaled or self.kind == "int8":
            kind = {"fp32": np.float32, "fp16": np.float16, "int8": np.int8}[self.kind]
            return data.view(kind).astype(np.float64)
        bits = np.unpackbits(data.reshape(-1, 6 if three else 8), axis=1, bitorder="little").astype(
            np.float64
        )
        if three:
            return bits[:, 0:32:2] + 2 * bits[:, 1:32:2] + 4 * bits[:, 32:] - 3.5
        nibbles = (bits.reshape(-1, 2, 8, 4) * [1, 2, 4, 8]).sum(axis=3)
        return nibbles.transpose(0, 2, 1).reshape(-1, 16) - 7.5


def rotation(signs: np.ndarray) -> np.ndarray:
    """The matrix that turns a row: its rows are those of Hadamard's in blocks, times signs."""
    size = len(signs)
    block_size = size & -size
    matrix = np.ones((1, 1))
    while len(matrix) < block_size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.kron(np.eye(size // block_size), matrix) * signs.astype(np.float64)


class Shape(NamedTuple):
    """Heads, and how pages hold them."""

    heads: int
    key_heads: int
    dim: int
    kind: str

    @property
    def is_small(self) -> bool:
        return self.kind in SMALL

    @property
    def turned(self) -> bool:
        return self.is_small or self.kind == "int8"

    @property
    def full(self) -> Layout:
        return Layout("fp16" if self.is_small else self.kind, self.key_heads, self.dim)

    @property
    def small(self) -> Layout:
        return Layout(self.kind, self.key_heads, self.dim)


class Sequences:
    """Rows of a few sequences, and where their pages are: in no order."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        self.shape = shape
        self.offsets = np.cumsum([0, *LENGTHS], dtype=np.int32)
        self.qkv = floats(rng, self.offsets[-1], (shape.heads + 2 * shape.key_heads) * shape.dim)
        if shape.kind == "fp16":
            self.qkv = self.qkv.astype(np.float16).astype(np.float32)
        self.sequence_of = np.repeat(np.arange(len(LENGTHS), dtype=np.int32), LENGTHS)
        self.place_of = np.concatenate([np.arange(length, dtype=np.int32) for length in LENGTHS])
        counts = [-(-length // PAGE) for length in LENGTHS]
        self.full_table = self._table(rng, counts, shape.full.words)
        self.small_table = self._table(rng, counts, shape.small.words)
        self.pages = np.zeros((sum(counts) + 2) * shape.full.words, np.uint32)
        norm = np.float32((shape.dim & -shape.dim) ** -0.5)
        self.signs = rng.choice([-norm, norm], shape.dim).astype(np.float32)

    def _table(self, rng: np.random.Generator, counts: list[int], words: int) -> np.ndarray:
        table = np.full((len(counts), max(counts)), _NO_PAGE)
        order = iter(rng.permutation(sum(counts) + 2))
        for row, count in enumerate(counts):
            table[row, :count] = [next(order) * words for _ in range(count)]
        return table

    def small_pages(self, sequence: int, seen: int) -> range:
        """Those that a row reads small."""
        if not self.shape.is_small:
            return range(0)
        dropped = max(DROPPED.get(sequence, []), default=-1) + 1
        return range(FIRST_SMALL, max(FIRST_SMALL, dropped, (seen - RECENT) // PAGE))

    def _parameters(self, kind: str, **more: float) -> bytes:
        return block(
            kind,
            rows=len(self.qkv),
            sequences=len(LENGTHS),
            heads=self.shape.heads,
            key_heads=self.shape.key_heads,
            head_dim=self.shape.dim,
            in_stride=self.qkv.shape[1] + 1,
            page_tokens=PAGE,
            table_stride=self.full_table.shape[1],
            turned=int(self.shape.turned),
            **self.shape.full.named("full"),
            **more,
        )

    def _places(self, table: np.ndarray) -> list[np.ndarray]:
        return [padded_rows(self.qkv, 0, 1), table, self.sequence_of, self.place_of, self.signs]

    def write(self, bench: Bench) -> np.ndarray:
        work = (1, len(self.qkv), self.shape.key_heads)
        places = [*self._places(self.full_table), Out(self.pages)]
        return bench.run("cache_write", work, places, self._parameters("cache_write"))[0]

    def shrink(self, bench: Bench, pages: np.ndarray) -> np.ndarray:
        """All pages that some row reads small."""
        of = [(s, page) for s, length in enumerate(LENGTHS) for page in self.small_pages(s, length)]
        pairs = np.array([(self.full_table[at], self.small_table[at]) for at in of], np.uint32)
        small = np.zeros(self.pages.size // self.shape.full.words * self.shape.small.words, np.uint32)
        parameters = block(
            "cache_shrink",
            rows=len(pairs),
            key_heads=self.shape.key_heads,
            head_dim=self.shape.dim,
            page_tokens=PAGE,
            **self.shape.full.named("full"),
            **self.shape.small.named("small"),
        )
        work = (PAGE // 16, len(pairs), self.shape.key_heads)
        return bench.run("cache_shrink", work, [pairs, pages, Out(small)], parameters)[0]

    def attend(
        self, bench: Bench, pages: np.ndarray, small: np.ndarray | None = None, **form: float
    ) -> np.ndarray:
        size = self.shape.heads * self.shape.dim
        out = np.full((len(self.qkv), size + 3), 7, np.float32)
        options = {"out_stride": size + 3, "scale": self.shape.dim**-0.5, **form}
        table = self.full_table.copy()
        if small is not None:
            options |= self.shape.small.named("small")
            options |= {"small_table": table.size, "first_small": FIRST_SMALL, "recent": RECENT}
            for sequence, dropped in DROPPED.items():
                table[sequence, dropped] = _NO_PAGE
            table = np.stack([table, self.small_table])
        parameters = self._parameters("cached_attention", **options)
        places = [*self._places(table), pages, small, Out(out)]
        work = (1, len(self.qkv), self.shape.heads)
        found = bench.run_rows("cached_attention", work, places, parameters)
        assert (found[:, size:] == 7).all()
        return found[:, :size]

    def seen(self, sequence: int, tokens: int, pages: np.ndarray, small: np.ndarray | None) -> np.ndarray:
        """Rows of a sequence as the last of its first `tokens` meets them: float64 [tokens, columns]."""
        shape, count = self.shape, -(-tokens // PAGE)
        smalls = self.small_pages(sequence, tokens) if small is not None else range(0)
        back = rotation(self.signs) if shape.turned else np.eye(shape.dim)
        heads = []
        for head in range(shape.key_heads):
            parts = [
                shape.small.decoded(small[self.small_table[sequence, page] :][: shape.small.words], head)
                if page in smalls
                else shape.full.decoded(pages[self.full_table[sequence, page] :][: shape.full.words], head)
                for page in range(count)
            ]
            heads.append(np.concatenate(parts, axis=1)[:, :tokens] @ back)
        first = self.offsets[sequence]
        queries = self.qkv[first : first + tokens, : shape.heads * shape.dim].astype(np.float64)
        return np.hstack([queries, *(one[0] for one in heads), *(one[1] for one in heads)])
