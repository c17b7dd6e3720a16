from __future__ import annotations

import http.server
import threading

import pytest

METRICS = """\
# HELP arrowmind_memory_bytes Memory.
# TYPE arrowmind_memory_bytes gauge
arrowmind_memory_bytes{component="base",model="m"} 1000.0
arrowmind_memory_bytes{component="experts",model="m"} 3000.0
arrowmind_memory_budget_bytes{model="m"} 8000.0
arrowmind_parts_budget_bytes{model="m"} 5000.0
arrowmind_parts{kind="experts",model="m"} 24.0
arrowmind_resident_parts{kind="experts",model="m"} 7.0
arrowmind_process_memory_bytes 9000.0
arrowmind_available_memory_bytes 70000.0
arrowmind_streams{model="m"} 2.0
arrowmind_waiting{model="m"} 3.0
arrowmind_cache_free_tokens{model="m"} 500.0
arrowmind_tokens_per_second{model="m"} 9.5
arrowmind_foretold_tokens_per_second{model="m"} 10.0
arrowmind_foretold_first_token_seconds{model="m"} 0.25
# TYPE arrowmind_generated_tokens counter
arrowmind_generated_tokens_total{model="m"} TOKENS
# TYPE arrowmind_part_uses counter
arrowmind_part_uses_total{how="hit",model="m"} HITS
arrowmind_part_uses_total{how="late",model="m"} 10.0
arrowmind_part_uses_total{how="miss",model="m"} 40.0
arrowmind_part_evictions_total{model="m"} 33.0
arrowmind_prefetched_parts_total{model="m"} 20.0
arrowmind_wasted_prefetches_total{model="m"} 5.0
arrowmind_disk_read_bytes_total{model="m"} READ
arrowmind_disk_stall_seconds_total{model="m"} 1.5
arrowmind_pressure_events_total{model="m",what="given_back"} 4.0
arrowmind_fallback_events_total{reason="not there",what="device"} 2.0
arrowmind_http_requests_total{route="/v1/completions",status="200"} 9.0
arrowmind_http_requests_total{route="/v1/completions",status="500"} 1.0
# TYPE arrowmind_http_seconds histogram
arrowmind_http_seconds_bucket{le="0.1",route="a"} 5.0
arrowmind_http_seconds_bucket{le="0.2",route="a"} 9.0
arrowmind_http_seconds_bucket{le="+Inf",route="a"} 10.0
arrowmind_first_token_seconds_count{model="m"} 4.0
arrowmind_first_token_seconds_sum{model="m"} 2.0
python_info{version="3"} 1.0
"""


def metrics_text(tokens=100, hits=50, read=1 << 20):
    return METRICS.replace("TOKENS", str(tokens)).replace("HITS", str(hits)).replace("READ", str(read))


class Server:
    """Says what it is told to, on a port of this machine."""

    def __init__(self):
        self.text, self.status, self.keys = metrics_text(), 200, []
        self._http = None
        self.port = 0

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.keys.append(self.headers.get("Authorization"))
                self.send_response(owner.status if self.path == "/metrics" else 404)
                self.end_headers()
                self.wfile.write(owner.text.encode())

            def log_message(self, *_):
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self):
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None


@pytest.fixture
def server():
    made = Server().start()
    yield made
    made.stop()
