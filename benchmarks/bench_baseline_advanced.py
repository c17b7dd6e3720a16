"""The benchmark from a checkout; the same as `arrowmind bench`.

python benchmarks/bench_baseline_advanced.py --peers onnxruntime,ctranslate2,sentence-transformers
python benchmarks/bench_baseline_advanced.py compare results/before.json results/after.json
"""

from __future__ import annotations

import sys

from arrowmind.bench import main
from arrowmind.errors import OptimizationError

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OptimizationError as error:
        sys.exit(f"error: {error}")
