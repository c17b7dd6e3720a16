"""An HTTP server on the loopback interface that behaves as told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeServer:
    """Answers each request by the next of `behaviours`, the last one for ever; keeps what it was asked."""

    def __init__(self, *behaviours):
        self.behaviours = list(behaviours)
        self.requests = []
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers), json.loads(body)))
                number = min(len(server.requests), len(server.behaviours)) - 1
                with contextlib.suppress(OSError):
                    server.behaviours[number](self, server)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def sends(body, status=200, kind="application/json", **headers):
    """A behaviour: a whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def behave(handler, _server):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return behave


def sleeps(handler, server):
    """Says nothing."""
    server.stopping.wait(20)


def drips(handler, server):
    """A header at a time, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not server.stopping.wait(0.05):
        handler.wfile.write(b"X-A: b\r\n")
        handler.wfile.flush()


def never_ends(handler, server):
    """A body without end."""
    handler.send_response(200)
    handler.end_headers()
    while not server.stopping.is_set():
        handler.wfile.write(b" " * 65536)


def drips_body(handler, server):
    handler.send_response(200)
    handler.end_headers()
    while not server.stopping.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def breaks_off(handler, server):
    """Less than was promised."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"message"')


def hangs_up(handler, server):
    """Closes before it says anything."""
    time.sleep(0.01)
