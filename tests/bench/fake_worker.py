"""A worker that does what it is asked to: answers, prints, dies, hangs."""

from __future__ import annotations

import json
import os
import sys
import time

for line in sys.stdin:
    request = json.loads(line)
    match request["do"]:
        case "crash":
            print("the last words", file=sys.stderr)
            os._exit(7)
        case "hang":
            time.sleep(600)
        case "raise":
            print(json.dumps({"error": "ValueError: no such thing"}), flush=True)
        case "environment":
            print(json.dumps({"environment": dict(os.environ)}), flush=True)
        case _:
            print(json.dumps({"echo": request}), flush=True)
if os.environ.get("FAKE_WORKER_STAYS"):
    time.sleep(600)
