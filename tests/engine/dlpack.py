"""What a consumer of DLPack's capsules does with them, by hand."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class _Tensor(ctypes.Structure):
    """DLTensor, whose memory the fake device has in the host's."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("number", ctypes.c_int32),
        ("dimensions", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
_USED = b"used_dltensor_versioned"


def take(capsule: Any) -> tuple[int, Versioned]:
    """What a consumer does: the tensor is its own from here on."""
    address = pointer_of(capsule, b"dltensor_versioned")
    assert _rename(capsule, _USED) == 0
    return address, Versioned.from_address(address)


def values_of(tensor: Any) -> npt.NDArray[np.float32]:
    """A copy of rows that have no gaps between them."""
    shape = tuple(tensor.shape[i] for i in range(tensor.dimensions))
    assert (tensor.code, tensor.bits, tensor.lanes, tensor.offset) == (2, 32, 1, 0)
    assert tuple(tensor.strides[i] for i in range(2)) == (shape[1], 1)
    floats = ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(floats, shape).copy()
