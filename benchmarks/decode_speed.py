"""Tokens per second of a decoder of the shape of Qwen2.5-0.5B with random weights.

`python benchmarks/decode_speed.py --width int4 --threads 2 --cached 0 1024` writes a model folder (kept under
--models), decodes one token at a time behind prompts of these lengths, and prints what share of the time it
would take to read the bytes of a token at the machine's read bandwidth.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.schema import FILE_NAME
from arrowmind.weights.tensor import float_tensor, grid_tensor, int8_tensor
from arrowmind.weights.writer import write_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.weights import Tensor

HIDDEN, INNER, LAYERS, VOCABULARY = 896, 4864, 24, 151936
HEADS, KEY_HEADS, HEAD_DIM = 14, 2, 64
CONFIG = {
    "model_type": "qwen2",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
BUFFER = 256 << 20


def matrix(rng: np.random.Generator, name: str, shape: tuple[int, int], width: str) -> Tensor:
    """Random codes whose products are about as large as what enters them."""
    rows, columns = shape
    if width == "int8" or "embed" in name:
        codes = rng.integers(-127, 128, shape, dtype=np.int8)
        scales = np.full(rows, 1 / (73 * columns**0.5), np.float32)
        return int8_tensor(name, codes, scales, activation="int8")
    grid = Grid(width, 32, "fp16", False)
    codes = rng.integers(0, {"int4": 16, "int2": 4}[width], shape, dtype=np.uint8)
    scales = np.full((rows, columns // 32), 1 / (4.6 * columns**0.5), np.float16)
    return grid_tensor(name, GridCodes(grid, codes, scales))


def tensors(width: str) -> Iterator[Tensor]:
    """Everything the model reads."""
    rng = np.random.default_rng(20261121)
    yield matrix(rng, "model.embed_tokens.weight", (VOCABULARY, HIDDEN), width)
    yield float_tensor("model.norm.weight", np.ones(HIDDEN, np.float32))
    for index in range(LAYERS):
        layer = f"model.layers.{index}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield float_tensor(f"{layer}{norm}.weight", np.ones(HIDDEN, np.float32))
        heads = {"q": HEADS, "k": KEY_HEADS, "v": KEY_HEADS}
        for part, count in heads.items():
            name = f"{layer}self_attn.{part}_proj"
            yield matrix(rng, f"{name}.weight", (count * HEAD_DIM, HIDDEN), width)
            yield float_tensor(f"{name}.bias", np.zeros(count * HEAD_DIM, np.float32))
        yield matrix(rng, f"{layer}self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD_DIM), width)
        for part in ("gate", "up"):
            yield matrix(rng, f"{layer}mlp.{part}_proj.weight", (INNER, HIDDEN), width)
        yield matrix(rng, f"{layer}mlp.down_proj.weight", (HIDDEN, INNER), width)


def model_folder(path: Path, width: str) -> ModelFolder:
    """The model, written when it is not there yet."""
    if not (path / FILE_NAME).exists():
        path.mkdir(parents=True, exist_ok=True)
        (path / "config.json").write_text(json.dumps(CONFIG))
        write_weights(path / FILE_NAME, tensors(width), {"model": CONFIG})
    return ModelFolder(path, verify="off")


def read_bandwidth(threads: int) -> float:
    """Bytes per second that so many threads read from memory, the best of a few rounds."""
    buffers = [np.ones(BUFFER // 8) for _ in range(threads)]
    best = 0.0
    for _ in range(4):
        readers = [threading.Thread(target=np.maximum.reduce, args=(buffer,)) for buffer in buffers]
        started = time.perf_counter()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        best = max(best, threads * BUFFER / (time.perf_counter() - started))
    return best


def decode(decoder: CachedDecoder, cached: int, tokens: int) -> tuple[float, float]:
    """Seconds of reading the prompt, and the median of a token behind it."""
    rng = np.random.default_rng(cached)
    handle = decoder.start()
    started = time.perf_counter()
    if cached:
        decoder.append([(handle, rng.integers(0, VOCABULARY, cached).tolist(), 1)])
    prompt = time.perf_counter() - started
    times = []
    token = 1
    for _ in range(tokens):
        started = time.perf_counter()
        (logits,) = decoder.append([(handle, [token], 1)])
        token = int(logits[0].argmax())
        times.append(time.perf_counter() - started)
    decoder.close(handle)
    return prompt, statistics.median(times)


def main() -> None:
    """Prints a line per prompt length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", choices=["int8", "int4", "int2"], default="int8")
    parser.add_argument("--format", default="fp16", help="of the cache")
    parser.add_argument("--threads", type=int, default=_native.available_cpus())
    parser.add_argument("--cached", type=int, nargs="*", default=[0, 1024])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--models", type=Path, default=Path("build/decode_models"))
    chosen = parser.parse_args()
    folder = model_folder(chosen.models / chosen.width, chosen.width)
    model = LanguageModel(folder.decoder, folder.weights, 32768, _native.ThreadPool(chosen.threads))
    decoder = CachedDecoder(model, CacheSettings(format=chosen.format))
    weights = (folder.path / FILE_NAME).stat().st_size
    bandwidth = read_bandwidth(chosen.threads)
    print(
        f"{chosen.width}, cache {chosen.format}, {chosen.threads} threads; {weights / 1e6:.0f} MB per token"
    )
    print(f"read bandwidth {bandwidth / 1e9:.1f} GB/s")
    decode(decoder, 0, 4)
    for cached in chosen.cached:
        prompt, token = decode(decoder, cached, chosen.tokens)
        share = weights / bandwidth / token
        print(
            f"{cached:6d} cached: prompt {prompt:.2f} s, {1e3 * token:.2f} ms a token, "
            f"{1 / token:.1f} tokens/s, {share:.0%} of the bandwidth"
        )


if __name__ == "__main__":
    main()
