"""The one tree of errors. Every message names the thing, the value and the remedy.

::

    OptimizationError
    ├── InvalidArgumentError (also ValueError)   a call was given something it cannot use
    ├── ConfigurationError                       a setting in YAML, environment or argument
    ├── DeviceError                              a device or instruction set that is not to be had
    │   ├── KernelError                          no kernel for the call
    │   ├── DeviceMemoryError                    a device has no room at the moment
    │   ├── DeviceLaunchError                    a device did not run a kernel
    │   ├── DeviceLostError                      a device went away with all that was on it
    │   └── DeviceUnsupportedError               a device, or its driver, never does this
    ├── ExchangeError (also BufferError)         an array that another library cannot be given as it asks
    ├── WeightError                              a weight file or model folder
    │   └── IntegrityError                       damaged: truncated, overlapping, checksum mismatch
    ├── QuantizationError
    │   └── PrecisionError                       a result below its precision threshold
    ├── StorageError                             no room or no permission to write a file
    ├── TokenizerError
    ├── ResourceError                            no room at the moment; less, or later, may work
    │   ├── CacheFullError                       no page of the key-value cache is free
    │   ├── MemoryBudgetError                    a model does not fit the memory it was given
    │   └── OverloadError                        more requests than may wait, or nobody there to serve them
    ├── ConsolidationError                       a run of the consolidation; no memory is lost
    │   └── ProviderError                        a language model that is down, slow or answers rubbish
    ├── PermissionDeniedError                    no rule allows what was asked for
    └── MemoryStoreError
        └── StoreVersionError                    a store written by a newer version
"""

from __future__ import annotations

__all__ = [
    "CacheFullError",
    "ConfigurationError",
    "ConsolidationError",
    "DeviceError",
    "DeviceLaunchError",
    "DeviceLostError",
    "DeviceMemoryError",
    "DeviceUnsupportedError",
    "ExchangeError",
    "IntegrityError",
    "InvalidArgumentError",
    "KernelError",
    "MemoryBudgetError",
    "MemoryStoreError",
    "OptimizationError",
    "OverloadError",
    "PermissionDeniedError",
    "PrecisionError",
    "ProviderError",
    "QuantizationError",
    "ResourceError",
    "StorageError",
    "StoreVersionError",
    "TokenizerError",
    "WeightError",
]


class OptimizationError(Exception):
    """Root of everything ArrowMind raises on purpose."""


class InvalidArgumentError(OptimizationError, ValueError):
    """A call was given something it cannot use."""


class ConfigurationError(OptimizationError):
    """A setting in YAML, the environment or an argument is not usable."""


class DeviceError(OptimizationError):
    """A device or instruction set is not to be had."""


class KernelError(DeviceError):
    """No kernel serves the call."""


class DeviceMemoryError(DeviceError):
    """A device has no room for this at the moment."""


class DeviceLaunchError(DeviceError):
    """A device did not run a kernel."""


class DeviceLostError(DeviceError):
    """A device went away, and all that was on it."""


class DeviceUnsupportedError(DeviceError):
    """A device, or its driver, never does this."""


class ExchangeError(OptimizationError, BufferError):
    """An array cannot be given to another library in the way that it asks for."""


class WeightError(OptimizationError):
    """A weight file or model folder cannot be used."""


class IntegrityError(WeightError):
    """A file is damaged: truncated, overlapping, or its checksum does not match."""


class QuantizationError(OptimizationError):
    """Quantisation failed."""


class PrecisionError(QuantizationError):
    """A quantised model is below its precision threshold."""


class StorageError(OptimizationError):
    """A file cannot be written: no room, no permission, no folder."""


class TokenizerError(OptimizationError):
    """A tokenizer cannot be loaded or used."""


class ResourceError(OptimizationError):
    """There is no room at the moment."""


class CacheFullError(ResourceError):
    """No page of the key-value cache is free; nothing was appended."""


class MemoryBudgetError(ResourceError):
    """A model does not fit the memory it was given."""


class OverloadError(ResourceError):
    """More requests than may wait, or the service is being closed."""


class ConsolidationError(OptimizationError):
    """A run of the consolidation cannot begin or go on; no memory is lost."""


class ProviderError(ConsolidationError):
    """A language model did not give an answer that can be used.

    Attributes:
        is_passing: whether the same request may work later.
        is_answer: whether a model answered, in a way that cannot be used.
        after: seconds to wait before, where the other side told them.
    """

    def __init__(
        self, message: str, *, is_passing: bool = False, is_answer: bool = False, after: float | None = None
    ) -> None:
        super().__init__(message)
        self.is_passing = is_passing
        self.is_answer = is_answer
        self.after = after


class PermissionDeniedError(OptimizationError):
    """No rule allows this principal to do this here."""


class MemoryStoreError(OptimizationError):
    """A memory store cannot be opened, read or written."""


class StoreVersionError(MemoryStoreError):
    """The store was written by a newer version."""
