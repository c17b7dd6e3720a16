"""What the scheduler and the server cost beside the decoder: microseconds per token, and tokens per second.

python benchmarks/serving_speed.py models/story
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import threading
import time
from typing import TYPE_CHECKING

import uvicorn

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.generate import SamplingParameters, TokenSequence, decode
from arrowmind.server import ApiKeys, ModelShelf, create_app
from arrowmind.server.running import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CACHE = 32_768
_ALONE = 300  # tokens of a text that is measured alone
_TOGETHER = 100  # tokens of each of several


class Lone:
    """A sequence of a decoder, as `decode` takes it."""

    def __init__(self, decoder: CachedDecoder) -> None:
        self._decoder, self._handle = decoder, decoder.start()

    def append(self, tokens: Sequence[int], rows: int) -> object:
        """Appends tokens; their logits."""
        return self._decoder.append([(self._handle, tokens, rows)])[0]

    def forget(self, count: int) -> None:
        """Drops the last tokens."""
        self._decoder.forget(self._handle, count)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alone(engine: ArrowEngine, prompt: list[int]) -> None:
    """One text: by the decoder itself, by generate, by stream; in turn, medians of 15."""
    options = {"max_tokens": _ALONE, "ignore_eos": True}

    def bare() -> None:
        decoder = CachedDecoder(engine._decoder, CacheSettings())
        sampling = SamplingParameters(**options)
        text = TokenSequence(prompt, sampling, decoder.vocabulary, pieces=engine.generator.pieces)
        for _ in decode(text, Lone(decoder)):
            pass

    ways = {
        "decoder": bare,
        "generate": lambda: engine.generate(prompt, **options),
        "stream": lambda: list(engine.stream(prompt, **options)),
    }
    rounds = [[seconds(way) / _ALONE * 1e6 for way in ways.values()] for _ in range(15)]
    for name, column in zip(ways, zip(*rounds, strict=True), strict=True):
        print(f"{name:9} {statistics.median(column):7.1f} us/token")


def together(engine: ArrowEngine, count: int) -> None:
    """Several texts: by appends alone, without choosing tokens, and by generate; the best of 3."""
    prompts = [engine.tokenise(f"Story {index}: Once upon a time") for index in range(count)]

    def bare() -> None:
        decoder = CachedDecoder(engine._decoder, CacheSettings(max_tokens=_CACHE))
        handles = [decoder.start() for _ in range(count)]
        for _ in range(_TOGETHER):
            decoder.append([(handle, [5], 1) for handle in handles])

    def generate() -> None:
        engine.generate(prompts, max_tokens=_TOGETHER, ignore_eos=True)

    speeds = [count * _TOGETHER / min(seconds(way) for _ in range(3)) for way in (bare, generate)]
    print(f"{count:2} texts: appends {speeds[0]:.0f}, generate {speeds[1]:.0f} tokens/s")


async def ask(port: int, index: int) -> None:
    """One streamed completion over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    query = {"model": "model", "prompt": f"Story {index}: Once upon a time", "temperature": 0, "stream": True}
    body = json.dumps({**query, "max_tokens": _TOGETHER, "ignore_eos": True}).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    if not answer.endswith(b"0\r\n\r\n") or b"[DONE]" not in answer:
        raise SystemExit(f"stream {index} is not whole: {answer[-200:]!r}")


def served(engine: ArrowEngine, count: int) -> None:
    """Streams of the server, whose client runs in the same process; the best of 3."""
    socket = listen("127.0.0.1", 0)
    app = create_app(ModelShelf({"model": engine}), load_config().server, ApiKeys())
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[socket])))
    thread.start()
    port = socket.getsockname()[1]

    async def everyone() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(ask(port, index) for index in range(count)))
        return time.perf_counter() - started

    best = min(asyncio.run(everyone()) for _ in range(3))
    server.should_exit = True
    thread.join()
    print(f"{count:2} streams of the server: {count * _TOGETHER / best:.0f} tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="folder of a language model")
    parser.add_argument("--threads", type=int, default=2)
    words = parser.parse_args()
    config = load_config(overrides={"generation.cache_tokens": str(_CACHE)})
    engine = ArrowEngine(words.model, threads=words.threads, config=config)
    alone(engine, engine.tokenise("Once upon a time"))
    for count in (1, 8, 64):
        together(engine, count)
    served(engine, 64)


if __name__ == "__main__":
    main()
