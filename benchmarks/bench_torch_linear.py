"""One linear layer in torch: ours beside torch.nn.Linear and torch's own dynamic quantisation.

    python benchmarks/bench_torch_linear.py --threads 2 --rounds 15

All lanes take turns within a round; printed are medians over the rounds in microseconds, and how many times
as fast as float32 that is. Torch and ours with the same number of threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from arrowmind.torch import QuantizedLinear
from arrowmind.torch.strategies import onednn
from arrowmind.weights.formats import Grid

if TYPE_CHECKING:
    from collections.abc import Callable

INT4 = Grid("int4", 32, "fp16")
INT2 = Grid("int2", 32, "u8", zero_points=True)


def lanes(linear: Any) -> dict[str, Any]:
    """Modules by name; the first is what the others are compared with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is deprecated, and is what torch has
        dynamic = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(linear), {torch.nn.Linear})
    ours = {
        f"arrowmind {name}, activations {activation}": QuantizedLinear.from_linear(
            linear, grid, activation=activation
        )
        for name, grid in (("int8", None), ("int4", INT4), ("int2", INT2))
        for activation in (("int8", "int16", "fp32") if grid is None else ("int8", "fp32"))
    }
    return {
        "torch.nn.Linear fp32": linear,
        "torch fp32 packed by oneDNN": onednn.prepare(linear),
        "torch dynamic int8": dynamic,
        **ours,
    }


def seconds(call: Callable[[], object], at_least: float) -> float:
    """Mean time of a call, over as many as take this long."""
    begin, count = time.perf_counter(), 0
    while (now := time.perf_counter()) - begin < at_least:
        call()
        count += 1
    return (now - begin) / count


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 1])
    parser.add_argument("--shape", type=int, nargs=2, default=[1536, 384], metavar=("OUT", "IN"))
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    n, k = options.shape
    modules = lanes(torch.nn.Linear(k, n))
    with torch.inference_mode():
        for rows in options.rows:
            x = torch.randn(rows, k)
            taken: dict[str, list[float]] = {name: [] for name in modules}
            for module in modules.values():
                module(x)
            for _ in range(options.rounds):
                for name, module in modules.items():
                    taken[name].append(seconds(partial(module, x), 0.01))
            base = statistics.median(next(iter(taken.values())))
            print(f"{rows} rows of {k} to {n}, {options.threads} threads")
            for name, times in taken.items():
                middle = statistics.median(times)
                print(f"  {name:36} {middle * 1e6:9.1f} us  {base / middle:5.2f} times float32")


if __name__ == "__main__":
    main()
