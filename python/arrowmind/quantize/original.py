"""The model that is quantised, as kernels read it: converted once, however often it is run and read."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from arrowmind.errors import QuantizationError
from arrowmind.observe import no_progress
from arrowmind.weights import open_weights
from arrowmind.weights.convert import copy_companions
from arrowmind.weights.documents import read_json
from arrowmind.weights.formats import FLOAT_TYPES
from arrowmind.weights.schema import FILE_NAME
from arrowmind.weights.writer import write_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.observe import Progress
    from arrowmind.weights import Tensor, WeightSource

__all__ = ["native_folder", "refuse_codes"]


@contextmanager
def native_folder(
    path: Path, weights: WeightSource, scratch: Path | None = None, progress: Progress = no_progress
) -> Iterator[tuple[Path, WeightSource]]:
    """A folder of ours with a model, and its weights: those at ``path``, or a copy for a while.

    Args:
        path: where the model was opened.
        weights: what was opened there.
        scratch: a folder to make a copy in; None takes one of the system.
        progress: told of bytes converted.

    Raises:
        WeightError: there is no configuration or no tokenizer.
    """
    if weights.kind == "native" and path.is_dir():
        yield path, weights
        return
    with ExitStack() as stack:
        made = stack.enter_context(TemporaryDirectory(prefix=".original-", dir=scratch))
        folder = Path(made)
        copy_companions(path, folder, weights)
        documents = {**weights.documents, "model": read_json(folder / "config.json")}
        write_weights(folder / FILE_NAME, _verified(weights, progress), documents)
        yield folder, stack.enter_context(open_weights(folder))


def refuse_codes(weights: WeightSource) -> None:
    """Raises QuantizationError if a tensor is quantised."""
    coded = [name for name in weights.names() if weights.spec(name).quant_type not in FLOAT_TYPES]
    if coded:
        raise QuantizationError(
            f"{weights.path}: tensor {coded[0]!r} is {weights.spec(coded[0]).quant_type} already; "
            "quantise the model it was made from"
        )


def _verified(weights: WeightSource, progress: Progress) -> Iterator[Tensor]:
    names = weights.names()
    total, done = sum(weights.spec(name).codes_bytes for name in names), 0
    for name in names:
        tensor = weights.tensor(name)
        tensor.verify()
        yield tensor
        done += tensor.spec.codes_bytes
        progress(done, total, "converting")
