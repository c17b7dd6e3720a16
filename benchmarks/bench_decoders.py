"""Perplexity of small language models at every width, against the numbers that they must keep.

    python benchmarks/train_small_decoder.py build/small-qwen2
    python benchmarks/bench_decoders.py --small build/small-qwen2 --stories stories260K.gguf

Each model is quantised to INT8, INT4 and INT2 and measured on text that it was not calibrated on: the small
model on what its training held out, stories260K on 32,000 tokens that it writes itself. Printed are true bits
of the matrices of the blocks, and of all but embeddings and head; perplexity against the original's; whether
that keeps the number asked for; and seconds. Folders that are there already are measured, not made again.
`--only int4 int4-distill` runs some of the lanes. Needs torch for texts and training.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.engine.folder import ModelFolder
from arrowmind.observe import progress_bar
from arrowmind.quantize import explain
from arrowmind.quantize.distill.sampling import draw
from arrowmind.weights import convert_model

ANY = {"perplexity_ratio": 1e9, "kl_mean": 1e9, "kl_99": 1e9, "top1_agreement": 0, "generation_agreement": 0}
LENGTH, MEASURED, CALIBRATED = 256, 32_000, 150_000
TEXTS = 590  # of more, moments would be taken over sentences alone


@dataclass(frozen=True)
class Lane:
    """A way to quantise, and the largest rise of perplexity that it may cost, in percent."""

    name: str
    most: float
    choices: dict[str, Any]


# In rows of 64 a zero point per group is 0.125 bits: those buy keys and values 4 bits, which gain more.
INT2 = {
    "quant_type": "int2",
    "group_size": 64,
    "scale_type": "fp16",
    "zero_points": False,
    "vector_type": "fp16",
    "bits_budget": 2.6,
}
TRELLIS2 = {"quant_type": "trellis2", "group_size": 64, "scale_type": "fp16"}
LANES = (
    Lane("int8", 0.5, {"quant_type": "int8"}),
    Lane("int4", 2.0, {"quant_type": "int4", "calibration": "gptq"}),
    Lane("int4-distill", 2.0, {"quant_type": "int4", "calibration": "distill"}),
    Lane("int2-distill", 15.0, {**INT2, "calibration": "distill"}),
    Lane("trellis2-distill", 15.0, {**TRELLIS2, "calibration": "distill"}),
)


@dataclass(frozen=True)
class Subject:
    """A model in floating point, texts to calibrate on, and tokens to measure on."""

    name: str
    folder: Path
    calibration: list[str]
    measured: list[int]


def stories(path: Path, output: Path) -> Subject:
    """stories260K, whose own kind of text is what it writes."""
    folder = converted(path, output / "stories260K")
    return Subject("stories260K", folder, written(folder, CALIBRATED, seed=1), tokens_of(folder, MEASURED))


def small(path: Path, output: Path) -> Subject:
    """A model of `train_small_decoder.py`, with the texts beside it."""
    folder = converted(path, output / path.name)
    engine = ArrowEngine(folder)
    held = (path / "held_out.txt").read_text(encoding="utf-8").splitlines()
    learned = (path / "training.txt").read_text(encoding="utf-8").splitlines()
    measured = [token for text in held for token in [*engine.tokenise(text), 0]][:MEASURED]
    return Subject(path.name, folder, learned[:: -(-len(learned) // TEXTS)], measured)


def converted(path: Path, folder: Path) -> Path:
    if not folder.exists():
        convert_model(path, folder)
    return folder


def drawn(folder: Path, tokens: int, seed: int) -> list[list[int]]:
    """Sequences that a model writes, each from its beginning."""
    opened = ModelFolder(folder)
    tensors = {name: torch.from_numpy(opened.weights.real_values(name)) for name in opened.weights.names()}
    begin = ArrowEngine(folder).tokenise("")
    with progress_bar() as progress:
        return draw(
            opened.decoder,
            tensors.__getitem__,
            begin,
            tokens=tokens,
            length=LENGTH,
            seed=seed,
            progress=progress,
        )


def written(folder: Path, tokens: int, seed: int) -> list[str]:
    engine = ArrowEngine(folder)
    return [engine.detokenise(ids) for ids in drawn(folder, tokens, seed)]


def tokens_of(folder: Path, tokens: int) -> list[int]:
    return [token for ids in drawn(folder, tokens, seed=1_000_001) for token in ids][:tokens]


def measure(subject: Subject, lane: Lane, output: Path, steps: int | None) -> bool:
    """Quantises, if that is to be done, and prints a line; whether the number is kept."""
    folder = output / f"{subject.name}-{lane.name}"
    begun = time.perf_counter()
    if not folder.exists():
        quantizer = ArrowQuantizer(
            QuantizationConfig(**ANY, **lane.choices, steps=steps), calibration_texts=subject.calibration
        )
        with progress_bar() as progress:
            quantizer.quantize(subject.folder, folder, progress=progress)
    seconds = time.perf_counter() - begun
    before, after = (
        ArrowEngine(one, judge=False).perplexity(subject.measured, LENGTH, LENGTH // 2).perplexity
        for one in (subject.folder, folder)
    )
    told = explain(folder)
    rise = 100 * (after / before - 1)
    kept = rise <= lane.most
    verdict = "kept" if kept else "MISSED"
    print(
        f"{subject.name:14} {lane.name:14} {told.parts['matrices'].bits_per_weight:8.3f} "
        f"{told.without_tables.bits_per_weight:8.3f} {told.total.bytes / 1e6:7.2f} "
        f"{before:9.3f} {after:9.3f} {rise:+7.2f} % {lane.most:6.1f} % {verdict:6} {seconds:7.0f} s",
        flush=True,
    )
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stories", type=Path)
    parser.add_argument("--small", type=Path)
    parser.add_argument("--output", type=Path, default=Path("build/decoders"))
    parser.add_argument("--only", nargs="+", choices=[lane.name for lane in LANES])
    parser.add_argument("--steps", type=int, help="of training; default: what the type needs")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.output.mkdir(parents=True, exist_ok=True)
    subjects = [
        make(path, given.output)
        for make, path in ((stories, given.stories), (small, given.small))
        if path is not None
    ]
    lanes = [lane for lane in LANES if given.only is None or lane.name in given.only]
    print(
        f"{'model':14} {'lane':14} {'matrices':>8} {'decoder':>8} {'MB':>7} {'original':>9} {'now':>9} "
        f"{'rise':>9} {'most':>8} {'':6} {'':>9}"
    )
    kept = [measure(subject, lane, given.output, given.steps) for subject in subjects for lane in lanes]
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
