"""The way of a text query: prepare off the event loop, queue, follow, answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from arrowmind.server.answers import Answer, usage
from arrowmind.server.events import EventStream, unless_gone
from arrowmind.server.failures import failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from arrowmind.engine.async_streams import AsyncGenerationStream
    from arrowmind.engine.generation import TextGenerator
    from arrowmind.generate import Delta, Generation, TokenSequence
    from arrowmind.server.queries import TextQuery
    from arrowmind.server.shelf import ModelShelf

__all__ = ["answer_text"]


async def answer_text(request: Request, query: TextQuery, shelf: ModelShelf) -> Response:
    """Answers a query, whole or as a stream of events.

    Raises:
        InvalidArgumentError: The model is unknown, or the query does not suit it.
        OverloadError: Too many wait already.
        ClientGoneError: Nobody is there to answer to.
    """
    engine = shelf.writer(query.model)
    generator = await asyncio.to_thread(lambda: engine.generator)
    streams = await unless_gone(request.receive, _started(generator, query))
    answer = Answer(
        query.model,
        generator.pieces,
        is_chat=query.is_chat,
        logprobs=query.request.sampling.logprobs is not None,
        tools=query.tools,
    )
    if query.stream:
        return EventStream(_events(answer, streams, query))
    try:
        found = await unless_gone(request.receive, _whole(streams))
    finally:
        await _close(streams)
    return JSONResponse(answer.whole(found, _usage(found, query.count)))


async def _started(generator: TextGenerator, query: TextQuery) -> list[AsyncGenerationStream]:
    """Streams in the queue: all, or none where one is refused."""

    def prepare() -> list[TokenSequence]:
        return [
            sequence
            for prompt in query.prompts
            for sequence in generator.prepare(prompt, query.request, query.count)
        ]

    sequences = await asyncio.to_thread(prepare)
    streams = [generator.follow(lambda sequence=sequence: sequence) for sequence in sequences]  # type: ignore[misc]
    try:
        for stream in streams:
            await stream.start()
    except BaseException:
        await _close(streams)
        raise
    return streams


async def _whole(streams: list[AsyncGenerationStream]) -> list[Generation]:
    for stream in streams:
        async for _ in stream:
            pass
    return [stream.generation for stream in streams if stream.generation is not None]


async def _events(
    answer: Answer, streams: list[AsyncGenerationStream], query: TextQuery
) -> AsyncIterator[dict[str, Any]]:
    try:
        for chunk in answer.opening(len(streams)):
            yield chunk
        async with contextlib.aclosing(_merged(streams)) as merged:
            async for index, delta in merged:
                piece = answer.piece(index, delta)
                if piece is not None:
                    yield piece
        if query.include_usage:
            found = [stream.generation for stream in streams if stream.generation is not None]
            yield answer.closing(_usage(found, query.count))
    except Exception as error:  # the status is sent already; what is left is to tell it here
        yield failure(error)[1]
    finally:
        await _close(streams)


async def _merged(streams: list[AsyncGenerationStream]) -> AsyncGenerator[tuple[int, Delta], None]:
    """Deltas of several streams as they come, with the index of each."""
    if len(streams) == 1:
        async for delta in streams[0]:
            yield 0, delta
        return
    ready: asyncio.Queue[tuple[int, Delta] | Exception | None] = asyncio.Queue()

    async def pump(index: int, stream: AsyncGenerationStream) -> None:
        try:
            async for delta in stream:
                ready.put_nowait((index, delta))
            ready.put_nowait(None)
        except Exception as error:
            ready.put_nowait(error)

    tasks = [asyncio.ensure_future(pump(*pair)) for pair in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            item = await ready.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(streams: list[AsyncGenerationStream]) -> None:
    for stream in streams:
        await stream.aclose()


def _usage(found: list[Generation], count: int) -> dict[str, int]:
    """Counts; the prompt of several answers counts once."""
    prompts = sum(one.timings.prompt_tokens for one in found[::count])
    return usage(prompts, sum(len(one.token_ids) for one in found))
