"""Results that stay where they were computed, for others: DLPack and the Arrow C Device interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from arrowmind.errors import ExchangeError, InvalidArgumentError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from arrowmind import _native

__all__ = ["DeviceArray"]

# Numbers of devices in DLPack.
_CPU, _CUDA, _ROCM = 1, 2, 10
# Streams that a number may stand for beside a handle: of CUDA the default ones, of ROCm its one.
_DEFAULT_STREAMS = {_CUDA: (1, 2), _ROCM: (0,)}
_NO_SYNCHRONISATION = -1


class DeviceArray:
    """float32 [rows, columns] in memory of a device, or of the host where the CPU computed it.

    All of it is there when it is given out: no reader has to wait for anything. Consumers share the memory,
    and see what others write to it; it stays until the last of them lets go, also when the engine is gone.
    Giving it back waits for the work of the device, so a reader may let go at any time, in any thread.

    Example:
        >>> states = engine.encode_on_device(["A cat sits."])  # doctest: +SKIP
        >>> torch.from_dlpack(states)  # doctest: +SKIP
        >>> pyarrow.array(states)  # doctest: +SKIP
    """

    dtype: np.dtype[np.float32] = np.dtype(np.float32)

    def __init__(self, rows: _native.SharedRows) -> None:
        """Of what a plan gave."""
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._rows.rows, self._rows.columns

    @property
    def device(self) -> str:
        """Where it lies, such as `cuda:0`; `cpu` for memory of the host."""
        return self._rows.device

    @property
    def nbytes(self) -> int:
        """Of the values."""
        return self._rows.rows * self._rows.columns * self.dtype.itemsize

    def __len__(self) -> int:
        """Rows."""
        return self._rows.rows

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"DeviceArray(float32 [{rows}, {columns}] on {self.device})"

    def to_numpy(self) -> NDArray[np.float32]:
        """A copy in memory of the host.

        Raises:
            DeviceError: The device failed, or is lost.
        """
        return self._rows.numpy()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        """For NumPy: memory of the host as it is; of a device only by `to_numpy`, which says what it costs.

        Raises:
            ExchangeError: It lies on a device.
        """
        if self.device != "cpu":
            raise ExchangeError(
                f"the array lies on {self.device}, where NumPy cannot read it; use to_numpy()"
            )
        return np.array(np.from_dlpack(self), dtype=dtype, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Type and number of the device.

        Raises:
            ExchangeError: Its memory has no address (Vulkan, Metal).
        """
        try:
            return self._rows.dlpack_device()
        except InvalidArgumentError as error:
            raise ExchangeError(str(error)) from None

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule of DLPack, as the array API standard has it.

        Args:
            stream: On which the consumer goes on. It has nothing to wait for, so this is checked alone.
            max_version: The latest that the consumer reads; None or below 1 gives the form without a version.
            dl_device: Where it is wanted: where it is, or the CPU, which takes a copy.
            copy: True always copies, False never, None where it must be.

        Raises:
            ExchangeError: Its memory has no address, or it was wanted elsewhere, or without the copy that
                this needs.
            InvalidArgumentError: The stream is none of such a device.
        """
        versioned = max_version is not None and max_version[0] >= 1
        if dl_device is not None and tuple(dl_device) == (_CPU, 0):
            if self.device != "cpu" and copy is False:
                self._refuse("it is wanted on the CPU without a copy; use to_numpy(), or copy=None")
            rows = self._rows.copy_here() if self.device != "cpu" or copy else self._rows
            return rows.dlpack(versioned, is_copied=rows is not self._rows)
        own = self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != own:
            self._refuse(f"it is wanted on device {tuple(dl_device)}; it goes to the CPU, {(_CPU, 0)}, alone")
        _check_stream(stream, own[0])
        rows = self._rows.copy() if copy else self._rows
        return rows.dlpack(versioned, is_copied=bool(copy))

    def __arrow_c_schema__(self) -> object:
        """An `arrow_schema` capsule: lists of as many float32 as there are columns."""
        return self._rows.arrow_schema()

    def __arrow_c_device_array__(self, requested_schema: object = None, **options: object) -> tuple[Any, Any]:
        """Capsules `arrow_schema` and `arrow_device_array`; a requested schema is no promise, and not met.

        Raises:
            ExchangeError: Its memory has no address (Vulkan, Metal).
            NotImplementedError: An option is given that this knows nothing of.
        """
        del requested_schema
        unknown = [name for name, value in options.items() if value is not None]
        if unknown:
            raise NotImplementedError(f"options {unknown} of the Arrow C Device interface are unknown here")
        self.__dlpack_device__()
        return self._rows.arrow_schema(), self._rows.arrow_device_array()

    def _refuse(self, why: str) -> NoReturn:
        raise ExchangeError(f"the array lies on {self.device}, and {why}")


def _check_stream(stream: int | None, device_type: int) -> None:
    if stream is None:
        return
    if device_type == _CPU:
        raise InvalidArgumentError(f"stream={stream!r} for memory of the CPU, which has none; leave it out")
    is_number = isinstance(stream, int) and not isinstance(stream, bool)
    defaults = _DEFAULT_STREAMS[device_type]
    if is_number and (stream == _NO_SYNCHRONISATION or stream in defaults or stream > 2):
        return
    known = ", ".join(map(str, defaults))
    raise InvalidArgumentError(
        f"stream={stream!r} is none of this device; use the handle of one, {known} for a default one, or "
        f"{_NO_SYNCHRONISATION} for none"
    )
