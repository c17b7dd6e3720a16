"""Results that stay on a device: who reads them, how long they stay, and what is refused."""

from __future__ import annotations

import ctypes
import gc
import threading

import numpy as np
import pyarrow as pa
import pytest
from tests.device.fake import Fake
from tests.device.gpu_driver import Driver
from tests.device.machine import open_or_skip
from tests.engine.writers import write_bytes_model
from tests.reference import folder

from arrowmind import ArrowEngine, _native
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine import on_device
from arrowmind.engine.device_array import DeviceArray
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.errors import DeviceError, ExchangeError, InvalidArgumentError
from arrowmind.weights import convert_model

TEXTS = ["the cat sat on the mat.", "", "a dog", "the dog ran far away, and back!", "cat " * 60]
STRICT = Config(device=DeviceSettings(fallback="error"))
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


@pytest.fixture(scope="module")
def expected(model):
    return ArrowEngine(model, device="cpu", threads=2).encode(TEXTS)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    monkeypatch.setattr(on_device, "_FIRST_REST_SECONDS", 0.0)
    return Fake(tmp_path)


def on_host():
    return DeviceArray(_native.SharedRows.of_host(VALUES))


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


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_POINTER = ctypes.pythonapi.PyCapsule_GetPointer
_POINTER.restype, _POINTER.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_RENAME = ctypes.pythonapi.PyCapsule_SetName
_RENAME.restype, _RENAME.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
_USED = b"used_dltensor_versioned"


def take(capsule):
    """What a consumer does: the tensor is its own from here on."""
    address = _POINTER(capsule, b"dltensor_versioned")
    assert _RENAME(capsule, _USED) == 0
    return address, _Versioned.from_address(address)


def values_of(tensor):
    shape = tuple(tensor.shape[i] for i in range(tensor.dimensions))
    assert (tensor.code, tensor.bits, tensor.lanes, tensor.offset) == (2, 32, 1, 0)
    assert tuple(tensor.strides[i] for i in range(2)) == (shape[1], 1)
    floats = ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(floats, shape).copy()


def test_vectors_stay_on_the_device_and_outlive_the_engine(fake, model, expected):
    engine = ArrowEngine(model, device="cuda", threads=2, config=STRICT)
    vectors = engine.encode_on_device(TEXTS, batch_size=2)
    assert (vectors.shape, vectors.device, len(vectors)) == (expected.shape, "cuda:0", 5)
    assert "cuda:0" in repr(vectors)
    np.testing.assert_array_equal(vectors.to_numpy(), expected)
    assert vectors.__dlpack_device__() == (2, 0)
    address, managed = take(vectors.__dlpack__(stream=1, max_version=(1, 1)))
    assert (managed.major, managed.flags, managed.tensor.type, managed.tensor.number) == (1, 0, 2, 0)
    engine.close()
    del engine, vectors
    gc.collect()
    np.testing.assert_array_equal(values_of(managed.tensor), expected)
    assert fake.live()["devices"] == 1
    letting_go = threading.Thread(target=managed.deleter, args=[address])
    letting_go.start()
    letting_go.join()
    gc.collect()
    assert fake.live() == {}


def test_what_nobody_takes_is_given_back(fake, model):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device("a dog")
    unused = [vectors.__dlpack__(), vectors.__dlpack__(max_version=(1, 0)), vectors.__dlpack__(copy=True)]
    unused += [*vectors.__arrow_c_device_array__()]
    del vectors
    gc.collect()
    assert fake.live()["allocations"] > 0
    del unused
    gc.collect()
    assert fake.live() == {}


@pytest.mark.parametrize("stream", [None, 1, 2, 3, 140_000_000_000_000, -1])
def test_streams_of_cuda(fake, model, stream):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device("a dog")
    address, managed = take(vectors.__dlpack__(stream=stream, max_version=(1, 0)))
    managed.deleter(address)


@pytest.mark.parametrize("stream", [0, -2, "1", 1.0, True, 2.5])
def test_streams_that_are_none(fake, model, stream):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device("a dog")
    with pytest.raises(InvalidArgumentError, match="is none of this device; use the handle"):
        vectors.__dlpack__(stream=stream)


def test_streams_of_rocm(tmp_path, monkeypatch, model, expected):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    Driver(tmp_path, "hip_on_host")
    vectors = ArrowEngine(model, device="rocm", threads=2, config=STRICT).encode_on_device(TEXTS)
    assert vectors.__dlpack_device__() == (10, 0)
    np.testing.assert_allclose(vectors.to_numpy(), expected, atol=2e-6)
    vectors.__dlpack__(stream=0)
    for stream in (1, 2):
        with pytest.raises(InvalidArgumentError, match="none of this device"):
            vectors.__dlpack__(stream=stream)


def test_the_kernels_of_cuda_put_each_row_in_its_place(tmp_path, monkeypatch, model, expected):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    driver = Driver(tmp_path)
    engine = ArrowEngine(model, device="cuda", threads=2, config=STRICT)
    vectors = engine.encode_on_device(TEXTS, batch_size=3)
    np.testing.assert_allclose(vectors.to_numpy(), expected, atol=2e-6)
    np.testing.assert_array_equal(vectors.to_numpy(), engine.encode(TEXTS))
    del engine, vectors
    gc.collect()
    assert driver.live() == {}


def test_a_copy_on_the_device_is_one(fake, model, expected):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    own, shared = (
        take(vectors.__dlpack__(copy=True, max_version=(1, 0))),
        take(vectors.__dlpack__(max_version=(1, 0))),
    )
    assert own[1].flags == 2
    assert own[1].tensor.data != shared[1].tensor.data
    ctypes.memset(shared[1].tensor.data, 0, vectors.nbytes)  # a consumer writes
    assert not vectors.to_numpy().any()
    np.testing.assert_array_equal(values_of(own[1].tensor), expected)
    for address, managed in (own, shared):
        managed.deleter(address)


def test_to_the_host_by_a_copy_that_is_asked_for(fake, model, expected):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    np.testing.assert_array_equal(np.from_dlpack(vectors, device="cpu"), expected)
    with pytest.raises(ExchangeError, match="without a copy"):
        vectors.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(BufferError, match="goes to the CPU"):
        vectors.__dlpack__(dl_device=(2, 1))
    with pytest.raises(ExchangeError, match="use to_numpy"):
        np.asarray(vectors)


def test_arrow_of_a_device(fake, model):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    schema, array = vectors.__arrow_c_device_array__(stream=None)
    # The array before its device: 5 numbers, 2 pointers of arrays, release, private data.
    words = (ctypes.c_int64 * 16).from_address(_POINTER(array, b"arrow_device_array"))
    length, nulls, offset, buffers, children = words[:5]
    number, kind, event = words[10], words[11] & 0xFFFFFFFF, words[12]
    assert (length, nulls, offset, buffers, children) == (5, 0, 0, 1, 1)
    assert (number, kind, event) == (0, 2, 0)
    assert pa.DataType._import_from_c_capsule(schema) == pa.list_(pa.float32(), vectors.shape[1])
    with pytest.raises(NotImplementedError, match="colour"):
        vectors.__arrow_c_device_array__(colour="red")


def test_rows_of_the_host_are_shared_with_numpy_torch_and_pyarrow():
    torch = pytest.importorskip("torch")
    array = on_host()
    assert array.__dlpack_device__() == (1, 0)
    by_numpy, by_torch = np.from_dlpack(array), torch.from_dlpack(array)
    by_arrow = pa.array(array)
    assert by_arrow.type == pa.list_(pa.float32(), 4)
    by_torch[0, 0] = 100.0
    assert by_numpy[0, 0] == array.to_numpy()[0, 0] == np.asarray(array)[0, 0] == 100.0
    assert by_arrow[0].as_py() == [100.0, 1.0, 2.0, 3.0]
    apart = np.from_dlpack(array, copy=True)
    by_torch[0, 0] = 0.0
    assert apart[0, 0] == 100.0
    del array
    gc.collect()
    np.testing.assert_array_equal(by_numpy, VALUES)
    np.testing.assert_array_equal(by_torch.numpy(), VALUES)
    table = pa.RecordBatch.from_arrays([by_arrow], names=["vector"])
    np.testing.assert_array_equal(table["vector"].flatten().to_numpy().reshape(3, 4), VALUES)


def test_memory_is_kept_by_the_last_who_holds_it():
    torch = pytest.importorskip("torch")
    tensors = [torch.from_dlpack(on_host()) for _ in range(50)]
    gc.collect()
    threads = [threading.Thread(target=tensors.pop) for _ in range(49)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(tensors[0].numpy(), VALUES)


def test_a_capsule_is_used_once():
    torch = pytest.importorskip("torch")
    for capsule in (on_host().__dlpack__(), on_host().__dlpack__(max_version=(1, 0))):
        torch.from_dlpack(capsule)
        with pytest.raises(RuntimeError, match="consumed only once"):
            torch.from_dlpack(capsule)
    with pytest.raises(InvalidArgumentError, match="memory of the CPU"):
        on_host().__dlpack__(stream=1)


def test_pyarrow_imports_the_struct_of_a_device():
    schema, array = on_host().__arrow_c_device_array__()
    imported = pa.Array._import_from_c_device_capsule(schema, array)
    np.testing.assert_array_equal(imported.flatten().to_numpy().reshape(3, 4), VALUES)
    with pytest.raises((ValueError, pa.ArrowInvalid)):
        pa.Array._import_from_c_device_capsule(schema, array)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    array = DeviceArray(_native.SharedRows.of_host(np.ones((rows, 4), np.float32)))
    assert np.from_dlpack(array).shape == array.to_numpy().shape == (rows, 4)
    assert len(pa.array(array)) == rows


def test_no_texts(fake, model):
    engine = ArrowEngine(model, device="cuda", threads=2, config=STRICT)
    assert engine.encode_on_device([]).to_numpy().shape == (0, engine.dimension)
    with pytest.raises(InvalidArgumentError, match="batch_size=0"):
        engine.encode_on_device(TEXTS, batch_size=0)


def test_the_cpu_gives_memory_of_the_host(model, expected):
    vectors = ArrowEngine(model, device="cpu", threads=2).encode_on_device(TEXTS)
    assert vectors.device == "cpu"
    np.testing.assert_array_equal(np.from_dlpack(vectors), expected)


def test_a_fault_at_every_call_gives_the_vectors_nevertheless(fake, model, expected):
    engine = ArrowEngine(model, device="cuda", threads=2)
    fake.set()
    engine.encode_on_device(TEXTS, batch_size=2)
    calls = fake.report()["calls"]
    where = set()
    for call in range(1, calls + 1):
        for status in (1, 3):
            fake.set(at=call, status=status)
            vectors = engine.encode_on_device(TEXTS, batch_size=2)
            fake.set()
            where.add(vectors.device)
            np.testing.assert_array_equal(vectors.to_numpy(), expected)
    assert "cpu" in where
    del engine, vectors
    gc.collect()
    assert fake.live() == {}


def test_a_device_that_may_not_fall_back_fails(fake, model):
    engine = ArrowEngine(model, device="cuda", threads=2, config=STRICT)
    fake.set(lost=3)
    with pytest.raises(DeviceError):
        engine.encode_on_device(TEXTS)


def test_a_device_lost_with_the_vectors_says_so(fake, model):
    vectors = ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    fake.set(lost=1)
    with pytest.raises(DeviceError, match="lost"):
        vectors.to_numpy()
    fake.set()
    del vectors
    gc.collect()
    assert fake.live() == {}


def test_memory_without_addresses_says_what_to_do(model):
    open_or_skip("vulkan")
    engine = ArrowEngine(model, device="vulkan", threads=2, config=STRICT)
    vectors = engine.encode_on_device(TEXTS)
    for refused in (vectors.__dlpack_device__, vectors.__dlpack__, vectors.__arrow_c_device_array__):
        with pytest.raises(ExchangeError, match=r"no address .* to_numpy\(\)"):
            refused()
    np.testing.assert_array_equal(np.from_dlpack(vectors, device="cpu"), engine.encode(TEXTS))


def test_logits_stay(fake, tmp_path):
    path = write_bytes_model(tmp_path / "bytes")
    engine = ArrowEngine(path, device="cuda", threads=2, config=STRICT)
    ids = [1, 2, 3]
    logits = engine.logits_on_device(ids)
    assert logits.device == "cuda:0"
    np.testing.assert_array_equal(logits.to_numpy(), ArrowEngine(path, device="cpu", threads=2).logits(ids))


def test_places_are_checked(fake, model, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open("cuda")
    engine = ArrowEngine(model, device="cpu", threads=2)
    plan = _native.DevicePlan(engine._plan, _native.DeviceWeights(device), _native.CachingAllocator(device))
    ids, offsets = np.array([1, 2, 3], np.int32), np.array([0, 1, 3], np.int32)
    rows = plan.rows(2)
    for places in ([0], [0, 0], [0, 2], [-1, 0]):
        with pytest.raises(InvalidArgumentError, match=r"places for|is none, or taken twice"):
            plan.run_there(ids, offsets, rows, np.array(places, np.int32))
    for wrong in (
        _native.SharedRows.of_host(VALUES),
        _native.SharedRows.of_host(np.ones((2, 3), np.float32)),
    ):
        with pytest.raises(InvalidArgumentError, match="given to a plan on cuda:0"):
            plan.run_there(ids, offsets, wrong, np.array([1, 0], np.int32))
    with pytest.raises(InvalidArgumentError, match="rows of shape"):
        plan.rows(-1)
