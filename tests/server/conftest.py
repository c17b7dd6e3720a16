from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
from tests.engine.writers import write_bytes_model, write_stories

from arrowmind import ArrowEngine
from arrowmind.config import ServerSettings
from arrowmind.server import ApiKeys, ModelShelf, create_app

KEY = "a-key-of-the-tests"


class Encoder:
    """A stand-in for an encoder: lengths and vowels."""

    is_decoder, dimension = False, 3

    def encode(self, texts):
        import numpy as np

        return np.array([[len(text), text.count("a"), 0.5] for text in texts], np.float32)

    def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    def close(self):
        pass


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    opened = ArrowEngine(write_bytes_model(tmp_path_factory.mktemp("models") / "bytes"), threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def stories(shared_data, tmp_path_factory):
    opened = ArrowEngine(write_stories(shared_data, tmp_path_factory.mktemp("models") / "stories"), threads=2)
    yield opened
    opened.close()


class Shelf(ModelShelf):
    """Leaves the engines open, which other tests share."""

    def close(self):
        pass


@contextlib.contextmanager
def listening(engines, settings=None, keys=()):
    """A real server on a free port, in a thread; its address."""
    import uvicorn

    app = create_app(Shelf(engines), settings or ServerSettings(), ApiKeys(keys))
    from arrowmind.server.running import listen

    socket = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[socket])))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


@pytest.fixture
def client(engine):
    """Requests to the application, without a network."""
    from starlette.testclient import TestClient

    shelf = Shelf({"bytes": engine, "encoder": Encoder()})
    with TestClient(create_app(shelf, ServerSettings(max_tokens=64), ApiKeys())) as opened:
        yield opened
