"""A model in llama.cpp, through the functions of its own interface; imports nothing else of weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import OptimizationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["LlamaSession"]

_BATCH = 512


class LlamaSession:
    """A model in llama.cpp with its defaults: mapped, matrices repacked where it does that, keys in F16."""

    def __init__(self, path: Path, threads: int, context: int = 2048) -> None:
        import llama_cpp as lib  # noqa: PLC0415

        self._lib = lib
        lib.llama_backend_init()
        model_options = lib.llama_model_default_params()
        model_options.n_gpu_layers = 0
        model = lib.llama_model_load_from_file(bytes(path), model_options)
        if model is None:
            raise OptimizationError(f"[bench] llama.cpp could not load {path}")
        options = lib.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = context, _BATCH, _BATCH
        options.n_threads = options.n_threads_batch = threads
        self._context = lib.llama_init_from_model(model, options)
        if self._context is None:
            raise OptimizationError(f"[bench] llama.cpp could not make a context for {path}")
        self._vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        self.weight_bytes: int = lib.llama_model_size(model)

    def feed(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """See `LanguageSession`."""
        tokens = (self._lib.llama_token * len(ids))(*ids)
        code = self._lib.llama_decode(self._context, self._lib.llama_batch_get_one(tokens, len(ids)))
        if code != 0:
            raise OptimizationError(f"[bench] llama_decode gave {code} for {len(ids)} tokens")
        logits = self._lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(logits, (self._vocabulary,))

    def restart(self) -> None:
        """See `LanguageSession`."""
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), True)
