"""What compilers of models share: matrices met by the activations they ask for, tables, vectors."""

from __future__ import annotations

from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.models.spec import Linear
from arrowmind.observe import get_logger, no_progress
from arrowmind.weights.roles import INPUT_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.models.decoder_spec import GatedFeedForward, RmsNorm
    from arrowmind.observe import Progress
    from arrowmind.weights import Tensor, WeightSource

    Observe: TypeAlias = Callable[[tuple[str, ...], int], NDArray[np.float64]]
    Record: TypeAlias = Callable[[tuple[str, ...], int], tuple[NDArray[np.float32], NDArray[np.int64]] | None]

__all__ = ["Form", "LayerBuilder", "Options", "check_head"]

_log = get_logger("arrowmind.engine")


class Form(NamedTuple):
    """Type of the activations a matrix meets, and k per scale of its own where they have theirs in blocks."""

    type: str
    group: int = 0


# Layers over one input share one form of it: the widest that any of them asks for.
_WIDTH = {"int8": 0, "int16": 1, "fp32": 2}


class Options(NamedTuple):
    """How a plan is compiled.

    Attributes:
        quantise: False keeps every activation in float32, whatever the weight file says.
        observe: Called for each group of matrices over one input, with their names and the number of inputs;
            the zeros [2, inputs] it returns gather each input's largest magnitude and sum of squares.
        record: Called like `observe`; what it returns, rows [capacity, inputs] and a count [1], takes the
            inputs themselves. None leaves a group alone.
        progress: told of layers, as they come up.
    """

    quantise: bool = True
    observe: Observe | None = None
    record: Record | None = None
    progress: Progress = no_progress


class LayerBuilder:
    """Adds layers to a plan, from the tensors of a source."""

    def __init__(self, plan: _native.Plan, weights: WeightSource, options: Options) -> None:
        self.plan = plan
        self._weights = weights
        self._options = options
        self._code_buffers: dict[tuple[Form, int], int] = {}

    def linear(
        self,
        layers: tuple[Linear, ...],
        source: int,
        output: int,
        *,
        residual: int = -1,
        gelu: bool = False,
        watched: bool = True,
        column: int = -1,
    ) -> None:
        """Layers over one input, their outputs side by side; not `watched` ones are no one's to quantise.

        From `column` on; -1: they fill the output.
        """
        tensors = [self.tensor(layer.weight) for layer in layers]
        if watched:
            self.watch(tuple(layer.weight for layer in layers), source)
        self._place(layers, tensors, source, output, residual=residual, gelu=gelu, first=column)

    def gated(self, feed_forward: GatedFeedForward, source: int) -> int:
        """A gated feed-forward up to the buffer that its last matrix reads."""
        width = self.tensor(feed_forward.up.weight).spec.shape[0]
        joined, inner = self.plan.buffer("fp32", 2 * width), self.plan.buffer("fp32", width)
        self.linear((feed_forward.gate, feed_forward.up), source, joined)
        self.plan.activate(joined, inner, feed_forward.activation)
        return inner

    def norm(self, norm: RmsNorm, source: int, output: int) -> None:
        """Over whole rows."""
        gamma = self.gamma(norm, self.plan.columns(source))
        self.plan.rms_norm(source, output, gamma, norm.epsilon)

    def gamma(self, norm: RmsNorm, size: int) -> NDArray[np.float32]:
        """What a norm multiplies by."""
        values: NDArray[np.float32] = self.vector(norm.weight, size) + np.float32(norm.offset)
        return values

    def head(self, name: str, source: int, output: int) -> None:
        """The matrix of logits; a table of embeddings is packed first.

        Raises:
            WeightError: it has another shape than source and output need.
            IntegrityError: the table is damaged.
        """
        tensor = self.tensor(name)
        check_head(tensor, (self.plan.columns(output), self.plan.columns(source)))
        if tensor.spec.layout == "row":
            tensor = tensor.as_matrix()
            _log.debug(
                "a head is tied to its table: packed in memory", tensor=name, bytes=tensor.codes.nbytes
            )
        self._place((Linear(name),), [tensor], source, output, residual=-1, gelu=False)

    def _place(
        self,
        layers: tuple[Linear, ...],
        tensors: list[Tensor],
        source: int,
        output: int,
        *,
        residual: int,
        gelu: bool,
        first: int = -1,
    ) -> None:
        scale = self._input_scale(layers)
        pairs = zip(layers, tensors, strict=True)
        forms = [(form, list(group)) for form, group in groupby(pairs, _forms(tensors))]
        column = max(first, 0)
        for form, group in forms:
            self.plan.linear(
                [self.described(layer, tensor) for layer, tensor in group],
                self.activations(source, form, scale),
                output,
                residual=residual,
                gelu=gelu,
                column=column if len(forms) > 1 else first,
            )
            column += sum(tensor.spec.shape[0] for _, tensor in group)

    def watch(self, names: tuple[str, ...], source: int) -> None:
        """Lets whoever asked for it see what enters the matrices called `names`."""
        if self._options.observe is not None:
            self.plan.observe(source, self._options.observe(names, self.plan.columns(source)))
        self.record(names, source)

    def record(self, names: tuple[str, ...], source: int) -> None:
        """Lets whoever asked for rows have those that may enter the matrices called `names`."""
        columns = self.plan.columns(source)
        place = None if self._options.record is None else self._options.record(names, columns)
        if place is not None:
            self.plan.record(source, *place)

    def native_rows(self, layers: Sequence[Linear]) -> tuple[_native.WeightTable, list[int]] | None:
        """The matrices of layers that come and go, for the native side to describe; None: ask for each."""
        return self._weights.native_rows([layer.weight for layer in layers])

    def common_form(self, layers: Sequence[Linear]) -> Form:
        """How layers that must all be met alike are met: in float32 where they ask for different things."""
        tensors = [self.tensor(layer.weight) for layer in layers]
        if not self._options.quantise:
            return Form("fp32")
        found = set(map(_forms(tensors), zip(layers, tensors, strict=True)))
        if len(found) == 1:
            return found.pop()
        _log.warning(
            "experts ask for different activations and take float32",
            first=layers[0].weight,
            forms=sorted(str(form.type) for form in found),
        )
        return Form("fp32")

    def has_input_scale(self, layer: Linear) -> bool:
        """Whether the inputs of a layer are multiplied by something of their own."""
        return self._scales_inputs and self._weights.input_scale(layer.weight) is not None

    @cached_property
    def _scales_inputs(self) -> bool:
        """Whether any layer's are: asked of thousands of experts, it is found out once."""
        return any(name.endswith(INPUT_SCALE) for name in self._weights.names())

    def real_values(self, layer: Linear) -> NDArray[np.float32]:
        """The values a layer's matrix stands for, float32 [n_out, n_in]."""
        return self._weights.real_values(layer.weight)

    def _input_scale(self, layers: tuple[Linear, ...]) -> NDArray[np.float32] | None:
        """What the input that `layers` share is multiplied by."""
        first, *others = (self._weights.input_scale(layer.weight) for layer in layers)
        for layer, other in zip(layers[1:], others, strict=True):
            if not _equal(first, other):
                raise WeightError(
                    f"{layers[0].weight} and {layer.weight} read one input but scale it differently; "
                    "quantise the model again"
                )
        return first

    def activations(self, source: int, form: Form, scale: NDArray[np.float32] | None = None) -> int:
        """The buffer a matrix reads: `source` itself, scaled, or its codes."""
        columns = self.plan.columns(source)
        if form.type == "fp32" or not self._options.quantise:
            if scale is None:
                return source
            scaled = self.plan.buffer("fp32", columns)
            self.plan.multiply(source, scaled, scale)
            return scaled
        codes = self._code_buffers.setdefault((form, columns), -1)
        if codes < 0:
            codes = self.plan.buffer(form.type, columns, group=form.group)
            self._code_buffers[form, columns] = codes
        self.plan.quantise(source, codes, scale)
        return codes

    def described(self, layer: Linear, tensor: Tensor) -> dict[str, object]:
        """A layer as the native side is told of it."""
        tensor.verify()
        n_out = tensor.spec.shape[0]
        bias = self.vector(layer.bias, n_out) if layer.bias else None
        return {**_description(tensor), "sums": tensor.sums, "bias": bias, "streamed": tensor.streamed}

    def table(self, name: str, rows: int, columns: int) -> dict[str, object]:
        """A table of at least `rows` rows, as the native side is told of it."""
        tensor = self.tensor(name)
        shape = tensor.spec.shape
        if len(shape) != 2 or shape[0] < rows or shape[1] != columns:
            raise WeightError(
                f"{name} has shape {list(shape)}; the configuration needs at least [{rows}, {columns}]"
            )
        if tensor.spec.grid is not None and tensor.spec.grid.code_type.trellis is not None:
            raise WeightError(
                f"the table {name} is stored as {tensor.spec.quant_type}, which serves matrices alone; "
                "quantise the original again with table_type int8, int4 or int2"
            )
        return {**_description(tensor), "name": name, "tree": tensor.tree}

    def vector(self, name: str, size: int) -> NDArray[np.float32]:
        """A vector of this size."""
        tensor = self.tensor(name)
        if tensor.spec.shape != (size,):
            raise WeightError(f"{name} has shape {list(tensor.spec.shape)}; the configuration needs [{size}]")
        tensor.verify()
        return tensor.to_float32()

    def tensor(self, name: str) -> Tensor:
        """The tensor called `name`."""
        return self._weights.tensor(name)


def check_head(tensor: Tensor, wanted: tuple[int, int]) -> None:
    """Whether the matrix of logits is of this shape; of a table, which is packed, whether it is sound.

    Raises:
        WeightError: it has another shape.
        IntegrityError: the table is damaged.
    """
    spec = tensor.spec
    if spec.shape != wanted:
        raise WeightError(f"{spec.name} has shape {list(spec.shape)}; the configuration needs {list(wanted)}")
    if spec.layout == "row":
        tensor.verify()


def _forms(tensors: list[Tensor]) -> Callable[[tuple[Linear, Tensor]], Form]:
    """How each of several layers over one input is met: those on no grid by the widest that any asks for."""
    plain = [tensor.spec.activation for tensor in tensors if tensor.spec.grid is None]
    widest = max(plain, key=_WIDTH.__getitem__, default="fp32")

    def form(member: tuple[Linear, Tensor]) -> Form:
        spec = member[1].spec
        if spec.grid is None:
            return Form(widest)
        return Form("int8-block", spec.group_size) if spec.activation == "int8" else Form("fp32")

    return form


def _description(tensor: Tensor) -> dict[str, object]:
    """What the native side is told of a tensor."""
    spec = tensor.spec
    described: dict[str, object] = {
        "type": spec.quant_type,
        "shape": spec.shape,
        "codes": tensor.codes,
        "scales": tensor.scales,
        "zero_points": tensor.zero_points,
    }
    if spec.grid is not None:
        described |= {
            "group": spec.group_size,
            "scale_type": spec.scale_type,
            "outer": tensor.outer_scales,
        }
    return described


def _equal(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
