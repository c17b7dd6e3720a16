"""Images a second and seconds of sound a second, beside transformers and ONNX Runtime.

Needs folders `PLACE/clip` and `PLACE/whisper`, each with `hf` (what transformers reads), `model` (converted)
and `int8` (quantised); of random weights, for instance, as tests/engine/test_senses_transformers.py has them:

python benchmarks/senses_speed.py PLACE --prepare   # once: exports ONNX files
python benchmarks/senses_speed.py PLACE --threads 2

Inputs are prepared before: what is measured is the models. All take turns; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch
import transformers
from onnxruntime.quantization import quantize_dynamic

from arrowmind import ArrowEngine
from arrowmind.engine.drawing import drawn_image, drawn_sound

if TYPE_CHECKING:
    from collections.abc import Callable

_IMAGES = 16
_ROWS = 1500  # of 30 s


class _Images(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.vision, self.projection = model.vision_model, model.visual_projection

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors of images."""
        return self.projection(self.vision(pixel_values=pixels).pooler_output)


class _Sound(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = model.model.encoder

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """States of a window."""
        return self.encoder(frames).last_hidden_state


def modules(place: Path) -> dict[str, torch.nn.Module]:
    clip = transformers.CLIPModel.from_pretrained(place / "clip" / "hf").eval()
    whisper = transformers.WhisperForConditionalGeneration.from_pretrained(place / "whisper" / "hf").eval()
    return {"clip": _Images(clip), "whisper": _Sound(whisper)}


def inputs(place: Path) -> dict[str, np.ndarray]:
    engine = ArrowEngine(place / "clip" / "model")
    pixels = np.stack([engine.perception.pixels(drawn_image(str(i))) for i in range(_IMAGES)])
    frames = np.random.default_rng(0).normal(0, 0.5, (1, 80, 2 * _ROWS)).astype(np.float32)
    return {"clip": pixels, "whisper": frames}


def prepare(place: Path) -> None:
    for name, module in modules(place).items():
        path = place / name / "model.onnx"
        given = torch.from_numpy(inputs(place)[name][:1])
        axes = {"x": {0: "n"}} if name == "clip" else None
        with torch.no_grad():
            torch.onnx.export(
                module, (given,), path, input_names=["x"], dynamic_axes=axes, dynamo=False, opset_version=17
            )
        quantize_dynamic(path, place / name / "int8.onnx")


def contenders(place: Path, name: str, threads: int) -> dict[str, Callable[[], object]]:
    given = inputs(place)[name]
    tensor, module = torch.from_numpy(given), modules(place)[name]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def ours(kind: str) -> Callable[[], object]:
        senses = ArrowEngine(place / name / kind, threads=threads, judge=False).perception
        if name == "clip":
            return lambda: senses.images(list(given), normalize=True)
        sound = np.tile(drawn_sound("a"), 30)[: 16000 * 30]
        windows = senses.windows(sound, 1.0)
        return lambda: senses.sound_states(windows)  # with its spectrogram, which the others are given

    def session(file: str) -> Callable[[], object]:
        made = onnxruntime.InferenceSession(place / name / file, options, ["CPUExecutionProvider"])
        return lambda: made.run(None, {"x": given})

    def eager() -> object:
        with torch.no_grad():
            return module(tensor)

    return {
        "ours fp32": ours("model"),
        "ours int8": ours("int8"),
        "transformers fp32": eager,
        "onnxruntime fp32": session("model.onnx"),
        "onnxruntime int8": session("int8.onnx"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.prepare:
        prepare(given.place)
        return
    torch.set_num_threads(given.threads)
    for name, count, unit in (("clip", _IMAGES, "images/s"), ("whisper", 30, "s of sound/s")):
        runs = contenders(given.place, name, given.threads)
        seconds: dict[str, list[float]] = {label: [] for label in runs}
        for _ in range(given.rounds + 1):
            for label, run in runs.items():
                started = time.perf_counter()
                run()
                seconds[label].append(time.perf_counter() - started)
        for label, found in seconds.items():  # the first round warms up
            print(f"{name:8} {label:18} {count / statistics.median(found[1:]):8.1f} {unit}", flush=True)


if __name__ == "__main__":
    main()
