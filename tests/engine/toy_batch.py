"""A decoder of many sequences without a model: logits from the last tokens, pages that are counted."""

from __future__ import annotations

import itertools

import numpy as np
from tests.reference.toy_decoder import _logits

from arrowmind.errors import CacheFullError


class ToyBatchDecoder:
    """As `BatchDecoder`. Each sequence has pages of its own; `failing(tokens)` may raise for one of them."""

    gives_peaks = False

    def __init__(self, vocabulary=8, *, capacity=256, page=4, order=2, window=64, seed=0):
        self.vocabulary, self.window, self.page, self.order, self.seed = vocabulary, window, page, order, seed
        self.pages = capacity // page
        self.sequences = {}
        self.handles = itertools.count(1)
        self.runs = []
        self.forks = 0
        self.failing = lambda tokens: None

    def step_tokens(self, tokens):
        return tokens

    def used(self, length):
        return -(-length // self.page)

    @property
    def free_pages(self):
        return self.pages - sum(self.used(len(tokens)) for tokens in self.sequences.values())

    @property
    def free_tokens(self):
        return self.free_pages * self.page

    def start(self):
        handle = next(self.handles)
        self.sequences[handle] = []
        return handle

    def append(self, feeds):
        assert feeds
        assert len({handle for handle, _, _ in feeds}) == len(feeds)
        more = 0
        for handle, tokens, rows in feeds:
            assert 0 <= rows <= len(tokens)
            assert tokens
            there = len(self.sequences[handle])
            assert there + len(tokens) <= self.window
            more += self.used(there + len(tokens)) - self.used(there)
        if more > self.free_pages:
            raise CacheFullError(f"{more} pages")
        for handle, tokens, _ in feeds:
            self.failing([*self.sequences[handle], *tokens])
        self.runs.append([(len(tokens), rows) for _, tokens, rows in feeds])
        found = []
        for handle, tokens, rows in feeds:
            sequence = self.sequences[handle]
            sequence += tokens
            ends = range(len(sequence) - rows + 1, len(sequence) + 1)
            logits = [
                _logits(self.vocabulary, self.seed, *sequence[max(0, end - self.order) : end]) for end in ends
            ]
            found.append(np.array(logits, np.float32).reshape(rows, self.vocabulary))
        return found

    def forget(self, handle, count):
        assert 0 < count < len(self.sequences[handle])
        del self.sequences[handle][-count:]

    def fork(self, handle, tokens):
        assert 0 < tokens <= len(self.sequences[handle])
        if self.used(tokens) > self.free_pages:
            raise CacheFullError("no page to fork")
        forked = self.start()
        self.sequences[forked] = self.sequences[handle][:tokens]
        self.forks += 1
        return forked

    def close(self, handle):
        del self.sequences[handle]

    def length(self, handle):
        return len(self.sequences[handle])
