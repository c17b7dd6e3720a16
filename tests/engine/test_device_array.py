"""Results that stay on a device: who reads them, how long they stay, and what is refused."""

from __future__ import annotations

import ctypes
import gc
import threading

import numpy as np
import pyarrow as pa
import pytest
from tests.device.gpu_driver import Driver
from tests.device.machine import open_or_skip
from tests.engine.dlpack import pointer_of, take, values_of
from tests.engine.placed import STRICT, TEXTS
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine, _native
from arrowmind.engine.device_array import DeviceArray
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.errors import DeviceError, ExchangeError, InvalidArgumentError

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def on_host():
    return DeviceArray(_native.SharedRows.of_host(VALUES))


def test_vectors_stay_on_the_device_and_outlive_the_engine(fake, encoder, encoded):
    engine = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT)
    vectors = engine.encode_on_device(TEXTS, batch_size=2)
    assert (vectors.shape, vectors.device, len(vectors)) == (encoded.shape, "cuda:0", 5)
    assert "cuda:0" in repr(vectors)
    np.testing.assert_array_equal(vectors.to_numpy(), encoded)
    assert vectors.__dlpack_device__() == (2, 0)
    address, managed = take(vectors.__dlpack__(stream=1, max_version=(1, 1)))
    assert (managed.major, managed.flags, managed.tensor.type, managed.tensor.number) == (1, 0, 2, 0)
    engine.close()
    del engine, vectors
    gc.collect()
    np.testing.assert_array_equal(values_of(managed.tensor), encoded)
    assert fake.live()["devices"] == 1
    letting_go = threading.Thread(target=managed.deleter, args=[address])
    letting_go.start()
    letting_go.join()
    gc.collect()
    assert fake.live() == {}


def test_what_nobody_takes_is_given_back(fake, encoder):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device("a dog")
    unused = [vectors.__dlpack__(), vectors.__dlpack__(max_version=(1, 0)), vectors.__dlpack__(copy=True)]
    unused += [*vectors.__arrow_c_device_array__()]
    del vectors
    gc.collect()
    assert fake.live()["allocations"] > 0
    del unused
    gc.collect()
    assert fake.live() == {}


@pytest.mark.parametrize("stream", [None, 1, 2, 3, 140_000_000_000_000, -1])
def test_streams_of_cuda(fake, encoder, stream):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device("a dog")
    address, managed = take(vectors.__dlpack__(stream=stream, max_version=(1, 0)))
    np.testing.assert_array_equal(values_of(managed.tensor), vectors.to_numpy())
    managed.deleter(address)


@pytest.mark.parametrize("stream", [0, -2, "1", 1.0, True, 2.5])
def test_streams_that_are_none(fake, encoder, stream):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device("a dog")
    with pytest.raises(InvalidArgumentError, match="is none of this device; use the handle"):
        vectors.__dlpack__(stream=stream)


def test_streams_of_rocm(tmp_path, monkeypatch, encoder, encoded):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    Driver(tmp_path, "hip_on_host")
    vectors = ArrowEngine(encoder, device="rocm", threads=2, config=STRICT).encode_on_device(TEXTS)
    assert vectors.__dlpack_device__() == (10, 0)
    np.testing.assert_allclose(vectors.to_numpy(), encoded, atol=2e-6)
    vectors.__dlpack__(stream=0)
    for stream in (1, 2):
        with pytest.raises(InvalidArgumentError, match="none of this device"):
            vectors.__dlpack__(stream=stream)


def test_the_kernels_of_cuda_put_each_row_in_its_place(tmp_path, monkeypatch, encoder, encoded):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    driver = Driver(tmp_path)
    engine = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT)
    vectors = engine.encode_on_device(TEXTS, batch_size=3)
    np.testing.assert_allclose(vectors.to_numpy(), encoded, atol=2e-6)
    np.testing.assert_array_equal(vectors.to_numpy(), engine.encode(TEXTS))
    del engine, vectors
    gc.collect()
    assert driver.live() == {}


def test_a_copy_on_the_device_is_one(fake, encoder, encoded):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    own, shared = (
        take(vectors.__dlpack__(copy=True, max_version=(1, 0))),
        take(vectors.__dlpack__(max_version=(1, 0))),
    )
    assert own[1].flags == 2
    assert own[1].tensor.data != shared[1].tensor.data
    ctypes.memset(shared[1].tensor.data, 0, vectors.nbytes)  # a consumer writes
    assert not vectors.to_numpy().any()
    np.testing.assert_array_equal(values_of(own[1].tensor), encoded)
    for address, managed in (own, shared):
        managed.deleter(address)


def test_to_the_host_by_a_copy_that_is_asked_for(fake, encoder, encoded):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    np.testing.assert_array_equal(np.from_dlpack(vectors, device="cpu"), encoded)
    with pytest.raises(ExchangeError, match="without a copy"):
        vectors.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(BufferError, match="goes to the CPU"):
        vectors.__dlpack__(dl_device=(2, 1))
    with pytest.raises(ExchangeError, match="use to_numpy"):
        np.asarray(vectors)


def test_arrow_of_a_device(fake, encoder):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    schema, array = vectors.__arrow_c_device_array__(stream=None)
    # The array before its device: 5 numbers, 2 pointers of arrays, release, private data.
    words = (ctypes.c_int64 * 16).from_address(pointer_of(array, b"arrow_device_array"))
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


def test_no_texts(fake, encoder):
    engine = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT)
    assert engine.encode_on_device([]).to_numpy().shape == (0, engine.dimension)
    with pytest.raises(InvalidArgumentError, match="batch_size=0"):
        engine.encode_on_device(TEXTS, batch_size=0)


def test_the_cpu_gives_memory_of_the_host(encoder, encoded):
    vectors = ArrowEngine(encoder, device="cpu", threads=2).encode_on_device(TEXTS)
    assert vectors.device == "cpu"
    np.testing.assert_array_equal(np.from_dlpack(vectors), encoded)


def test_a_fault_at_every_call_gives_the_vectors_nevertheless(fake, encoder, encoded):
    engine = ArrowEngine(encoder, device="cuda", threads=2)
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
            np.testing.assert_array_equal(vectors.to_numpy(), encoded)
    assert "cpu" in where
    del engine, vectors
    gc.collect()
    assert fake.live() == {}


def test_a_device_that_may_not_fall_back_fails(fake, encoder):
    engine = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT)
    fake.set(lost=3)
    with pytest.raises(DeviceError):
        engine.encode_on_device(TEXTS)


def test_a_device_lost_with_the_vectors_says_so(fake, encoder):
    vectors = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT).encode_on_device(TEXTS)
    fake.set(lost=1)
    with pytest.raises(DeviceError, match="lost"):
        vectors.to_numpy()
    fake.set()
    del vectors
    gc.collect()
    assert fake.live() == {}


def test_memory_without_addresses_says_what_to_do(encoder):
    open_or_skip("vulkan")
    engine = ArrowEngine(encoder, device="vulkan", threads=2, config=STRICT)
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


def test_places_are_checked(fake, encoder, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open("cuda")
    engine = ArrowEngine(encoder, device="cpu", threads=2)
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
