"""Types of the native core. Sections follow csrc/bindings, one per file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# --- base

def isas() -> list[dict[str, object]]:
    """Instruction sets of this architecture: name, detected, enabled; narrow to wide."""

def kernels() -> list[dict[str, object]]:
    """Every kernel row: op, name, isa, detail, enabled."""

def cpu_brand() -> str:
    """Name of the processor."""

def available_cpus() -> int:
    """Processors this process may use."""

def reload_environment() -> None:
    """Reads ARROWMIND_MAX_ISA and ARROWMIND_KERNEL again. For tests: not safe beside running kernels."""

# --- arrow

class ArrowFile:
    @staticmethod
    def open(path: bytes) -> ArrowFile: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def fields(self) -> list[tuple[str, str, bool, dict[str, str]]]: ...
    @property
    def num_batches(self) -> int: ...
    @property
    def size(self) -> int: ...
    def forget_pages(self, offset: int, size: int) -> None: ...
    def batch(self, i: int) -> ArrowBatch: ...

class HashTree:
    @property
    def root(self) -> bytes: ...
    @property
    def data_bytes(self) -> int: ...
    @property
    def hashed_chunks(self) -> int: ...
    def verify(self, array: npt.NDArray[np.generic], what: str) -> None: ...
    def touch(self, arrays: list[npt.NDArray[np.generic]], pool: ThreadPool) -> None: ...
    def verify_index(self, batch: ArrowBatch) -> None: ...
    def verify_bytes(self, begin: int, end: int) -> None: ...

class HashTreeBuilder:
    def __init__(self) -> None: ...
    @property
    def root(self) -> bytes: ...
    def update(self, data: npt.NDArray[np.generic]) -> None: ...
    def section(self, rest: bytes) -> bytes: ...

# --- device

DEVICE_KINDS: tuple[str, ...]

class DeviceRegistry:
    def __init__(self, folder: str = "") -> None: ...
    @property
    def folder(self) -> str: ...
    def probe(self, kind: str) -> dict[str, Any]: ...
    def open(self, kind: str, index: int = 0) -> Device: ...

class Device:
    @property
    def name(self) -> str: ...
    @property
    def is_lost(self) -> bool: ...
    def info(self) -> dict[str, Any]: ...
    def memory(self) -> tuple[int, int]: ...
    def allocate(self, size: int) -> DeviceBuffer: ...
    def limit(self, size: int) -> None:
        """At most so many bytes at a time; 0: no bound."""

    @property
    def taken_bytes(self) -> int: ...
    def stream(self) -> DeviceStream: ...
    def event(self) -> DeviceEvent: ...
    def pinned(self, size: int) -> PinnedMemory: ...
    def register_host(self, memory: npt.NDArray[np.uint8] | memoryview) -> HostRegistration: ...
    def try_wgmma(self, kernel: str) -> str:
        """What a trial of `linear_bf16_<weights>_wgmma` found against mma.sync; empty: the same results.

        Done once in a process. DeviceUnsupportedError where the device has no such kernel.
        """

    def kernel(self, name: str) -> int: ...
    @property
    def has_graphs(self) -> bool: ...
    def graph(
        self, launches: list[tuple[int, int, int, list[DeviceBuffer | DeviceBlock], bytes]]
    ) -> DeviceGraph:
        """Launches, each (kernel, groups, threads, memory, parameters), made ready to run as one."""

class DeviceGraph:
    @property
    def launches(self) -> int: ...

class DeviceBuffer:
    @property
    def bytes(self) -> int: ...

class DeviceBlock:
    @property
    def bytes(self) -> int: ...
    @property
    def reserved_bytes(self) -> int: ...

class PinnedMemory:
    @property
    def bytes(self) -> int: ...

class HostRegistration: ...

class DeviceEvent:
    def is_reached(self) -> bool: ...
    def nanoseconds_until(self, later: DeviceEvent) -> int: ...

class DeviceStream:
    def copy_in(self, to: DeviceBuffer | DeviceBlock, offset: int, source: npt.NDArray[np.uint8]) -> None: ...
    def copy_out(
        self, to: npt.NDArray[np.uint8], source: DeviceBuffer | DeviceBlock, offset: int
    ) -> None: ...
    def copy_within(
        self,
        to: DeviceBuffer | DeviceBlock,
        to_offset: int,
        source: DeviceBuffer | DeviceBlock,
        source_offset: int,
        size: int,
    ) -> None: ...
    def record(self, event: DeviceEvent) -> None: ...
    def wait(self, event: DeviceEvent) -> None: ...
    def launch(
        self,
        kernel: int,
        groups: int,
        threads: int,
        memory: list[DeviceBuffer | DeviceBlock],
        parameters: bytes,
    ) -> None: ...
    def launch_over(
        self,
        name: str,
        work: tuple[int, int, int],
        places: list[tuple[DeviceBuffer | DeviceBlock, int]],
        parameters: bytes,
    ) -> None: ...
    def run(self, graph: DeviceGraph) -> None: ...
    def synchronise(self) -> None: ...

class CachingAllocator:
    def __init__(self, device: Device, limit_bytes: int = 0) -> None: ...
    def allocate(self, size: int, stream: DeviceStream) -> DeviceBlock: ...
    def trim(self, keep_bytes: int = 0) -> None: ...
    def counters(self) -> dict[str, int]: ...

class SharedRows:
    """Rows of float32 where they were computed; see csrc/runtime/on_device/shared_rows.h."""

    @staticmethod
    def of_host(values: npt.NDArray[np.float32]) -> SharedRows: ...
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def device(self) -> str: ...
    def copy(self) -> SharedRows: ...
    def copy_here(self) -> SharedRows: ...
    def numpy(self) -> npt.NDArray[np.float32]: ...
    def dlpack(self, versioned: bool, is_copied: bool = False) -> object: ...
    def dlpack_device(self) -> tuple[int, int]: ...
    def arrow_schema(self) -> object: ...
    def arrow_device_array(self) -> object: ...

class DeviceWeights:
    """What plans of one model read on one device."""

    def __init__(self, device: Device) -> None: ...
    @property
    def bytes(self) -> int: ...
    def uploaded(self) -> dict[str, float]:
        """Bytes (`bytes`, `ring_bytes`, `registered_bytes`) and `seconds`, `read_seconds`, `copy_seconds`."""

def linear_there(
    device: Device,
    tensor: dict[str, object],
    stream: int,
    x: int,
    rows: int,
    out: int,
    scratch: int,
    activation: str = "fp32",
    multiplier: int = 0,
) -> None:
    """As `linear_run` in a stream of others, over addresses of the device; returns when it is submitted."""

def linear_scratch_bytes(tensor: dict[str, object], activation: str, rows: int) -> int:
    """Memory that `linear_there` needs beside rows and results."""

def upload_back(device: Device, path: bytes, offset: int, size: int) -> npt.NDArray[np.uint8]:
    """Bytes of a file by way of a device, as weights go there."""

def time_upload(
    device: Device,
    path: bytes,
    size: int,
    *,
    reads: bool = True,
    copies: bool = True,
    registers: bool = True,
    pace: float = 0.0,
) -> dict[str, float]:
    """Copies the first `size` bytes of a file to a device; what `DeviceWeights.uploaded` tells."""

class DevicePlan:
    """A plan whose operators run as kernels of a device; see csrc/runtime/on_device/device_plan.h."""

    def __init__(
        self,
        plan: Plan,
        weights: DeviceWeights,
        memory: CachingAllocator,
        experts_here: int = 0,
        threads: ThreadPool | None = None,
        passes: bool = False,
        expert_room: int = 0,
        expert_threshold: float = 1.0,
        mixed: bool = False,
        graphs: str = "auto",
        wgmma: bool = True,
    ) -> None:
        """`experts_here`: so many of the first layers with experts leave these to the CPU, and `threads`.

        `passes`: its blocks stay with the host, and each forward sends their weights, two blocks at a time.
        `expert_room`: bytes for single ones of the experts that the CPU computes, brought once more than
        `expert_threshold` of the last rounds used them.
        `mixed`: products of many rows in float32 round them to bfloat16, where the device has kernels for it.
        `wgmma`: large ones of these run by warpgroups, where the device can and a trial showed that it does.
        """

    @property
    def is_mixed(self) -> bool:
        """Whether any product does."""

    @property
    def has_wgmma(self) -> bool:
        """Whether large products may run by warpgroups."""

    @property
    def left_out(self) -> dict[str, str]:
        """Kernels that were tried and are not used, each with what was found."""

    def most_rows(self, size: int) -> int:
        """The most rows of a forward that takes `size` bytes of the device at most; 64 at least."""

    @property
    def sent_bytes(self) -> int:
        """Of weights that passed, since it was made."""

    def graph_counters(self) -> dict[str, int]:
        """Of forwards that run as one: `made`, `runs`, `launches`, `held`, `held_launches`, `failed`."""

    def expert_counters(self) -> dict[str, int]:
        """Of single experts: hits, misses, brought, evicted, failed, brought_bytes, held_bytes."""

    def give_way(self) -> None:
        """Memory is short: half of the single experts go, and do not come back."""

    def settle_experts(self) -> None:
        """Waits until no single expert is on its way."""

    def run(
        self,
        token_ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int32],
        normalise: bool = False,
        micro_tokens: int = 4096,
        memory: SharedRows | None = None,
        memory_offsets: npt.NDArray[np.int32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """As `Plan.run`, with `memory` on this device; float32 [sequences or tokens, output_columns]."""

    def run_rows(
        self,
        rows: npt.NDArray[np.float32],
        micro_tokens: int = 4096,
        offsets: npt.NDArray[np.int32] | None = None,
        normalise: bool = False,
    ) -> npt.NDArray[np.float32]:
        """As `Plan.run_rows`."""

    def rows(self, count: int) -> SharedRows:
        """Memory of the device for so many results."""

    def run_there(
        self,
        token_ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int32],
        output: SharedRows,
        places: npt.NDArray[np.int32],
        normalise: bool = False,
        micro_tokens: int = 4096,
    ) -> None:
        """As `run`; result i becomes row places[i] of `output`, which is there when it returns."""

    def run_rows_peaks(
        self, rows: npt.NDArray[np.float32], micro_tokens: int = 4096
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """As `run_rows`; of each row of results the column of the largest, and the largest, alone."""

    def run_rows_candidates(
        self,
        rows: npt.NDArray[np.float32],
        temperatures: npt.NDArray[np.float32],
        count: int,
        whole: npt.NDArray[np.int32],
        micro_tokens: int = 4096,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """As `run_rows`; of each row of results its `count` largest, best first, and sums over all of it.

        Args:
            rows: as for `run_rows`.
            temperatures: [results, sums], above 0.
            count: 1 to 256, and at most the columns of a result.
            whole: numbers of rows that come as they are, too, ascending.
            micro_tokens: rows of a micro-batch.

        Returns:
            [results, 2 * count + sums]: columns, of equals the first; the bits of their values in float32;
            those of sum(exp((x - largest) / temperature)) for each temperature of the row. And the rows
            themselves, [whole, columns].
        """

    def run_rows_there(
        self,
        rows: npt.NDArray[np.float32],
        output: SharedRows,
        places: npt.NDArray[np.int32],
        micro_tokens: int = 4096,
    ) -> None:
        """As `run_rows`, likewise."""

    def time_rows(self, rows: npt.NDArray[np.float32], micro_tokens: int = 4096) -> list[tuple[str, int]]:
        """Nanoseconds that each kernel of such a forward took on the device, in order."""

    def run_cached(
        self,
        cache: KvCache,
        sequences: list[int],
        token_ids: npt.NDArray[np.int32] | None,
        offsets: npt.NDArray[np.int32],
        micro_tokens: int = 4096,
        rows: npt.NDArray[np.float32] | None = None,
        memory: SharedRows | None = None,
        memory_offsets: npt.NDArray[np.int32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """As `Plan.run_cached`, with `memory` on this device; the pages of the cache come there first."""

    def kernels(self) -> list[str]: ...

class Residency:
    @staticmethod
    def open(
        path: bytes, budget: int, threads: int = 4, policy: str = "farthest", direct: bool = True
    ) -> Residency: ...
    def add(self, ranges: list[tuple[int, int]], place: int, asked: bool = False) -> int: ...
    def held(self, block: int, offset: int, size: int) -> bytes: ...
    def pin(self, offset: int, size: int) -> None: ...
    def seal(self) -> None: ...
    def block_bytes(self) -> list[int]: ...
    def acquire(self, blocks: list[int]) -> None: ...
    def acquire_first(self, blocks: list[int], together: bool = False) -> int: ...
    def release(self, blocks: list[int]) -> None: ...
    def prefetch(self, blocks: list[int]) -> None: ...
    def prefetch_likely(self, blocks: list[int], threshold: float) -> None: ...
    def expect(self, blocks: list[int]) -> None: ...
    def retire(self, blocks: list[int]) -> None:
        """Blocks that were copied elsewhere: the first to give way, and read by no guess."""

    def pass_over(self, blocks: list[int], whole: bool) -> None:
        """In their turn, blocks are used where they were copied; `whole`: nothing else of their place is."""

    def lend(self, block: int) -> bool:
        """Holds a block for a copy if it is there and room is left for others; whether it is lent."""

    def take_back(self, block: int) -> None: ...
    def set_budget(self, size: int) -> None: ...
    def view(self, offset: int, size: int) -> npt.NDArray[np.uint8]: ...
    def counters(self) -> dict[str, float]: ...
    @property
    def budget(self) -> int: ...
    @property
    def needed_bytes(self) -> int: ...
    @property
    def is_direct(self) -> bool: ...

def open_hash_tree(file: ArrowFile) -> HashTree | None: ...
def sha256(data: bytes | bytearray | memoryview | npt.NDArray[np.generic]) -> bytes: ...
def sha256_rows(rows: npt.NDArray[np.uint8], prefix: int) -> bytes: ...
def sha256_implementation() -> str: ...

class ArrowBatch:
    @property
    def num_rows(self) -> int: ...
    def column(self, name: str) -> ArrowColumn: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

class WeightTable:
    def __init__(self, batch: ArrowBatch) -> None: ...
    @property
    def is_sound(self) -> bool: ...
    def checksum(self, crc: int) -> int: ...
    def describe(self, row: int) -> tuple[str, str, tuple[int, ...], str, int, str, int, str, str]: ...
    def are_alike(self, rows: list[int]) -> bool: ...
    def first_unsound(self, rows: list[int], tree: HashTree | None) -> int: ...
    def moving(self, rows: list[int], tree: HashTree | None) -> list[tuple[int, int]] | None: ...

class EarlyWeights:
    """A weight file that a thread reads, and hashes, before it is asked for."""

    def __init__(self, path: bytes, hashed: bool) -> None: ...
    def read(self) -> list[tuple[int, int]]:
        """Reads, once: the work of a thread. (offset, size) of each range that was read."""

    def end(self) -> None:
        """Has read() return after the piece that it is at."""

    def opened(self) -> tuple[ArrowFile, HashTree | None] | None:
        """The file and its tree, once read() has them; None where it cannot."""

class ArrowColumn:
    @property
    def type(self) -> str: ...
    @property
    def null_count(self) -> int: ...
    def __len__(self) -> int: ...
    def numbers(self) -> npt.NDArray[np.generic]: ...
    def tolist(self) -> list[object]: ...
    def validity(self) -> npt.NDArray[np.bool_]: ...
    def offsets(self) -> npt.NDArray[np.int64]: ...
    def strings(self) -> list[str | None]: ...
    def binary(self) -> BinaryColumn: ...
    def child(self) -> ArrowColumn: ...

class BinaryColumn:
    """Binary values of a mapped file, without copies."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> npt.NDArray[np.uint8]:
        """Read-only view of value ``i``; empty where the value is missing."""
    def decoded(self, rows: list[int]) -> list[str]:
        """Values of some rows as texts; what is not UTF-8 is read as U+FFFD."""
    def offset(self, i: int) -> int:
        """File offset of value ``i`` in bytes."""
    def values(self) -> npt.NDArray[np.uint8]:
        """Read-only view of all values, one behind the other."""
    def is_null(self, i: int) -> bool:
        """Whether value ``i`` is missing."""

def import_arrow_array(schema: object, array: object) -> npt.NDArray[np.generic] | list[str | None]: ...
def import_arrow_stream(stream: object) -> list[npt.NDArray[np.generic] | list[str | None]]: ...
def crc32c(data: bytes | bytearray | memoryview | npt.NDArray[np.generic], crc: int = 0) -> int:
    """CRC-32C of the bytes of a contiguous buffer, continuing from ``crc``."""

# --- interchange

class SafetensorsFile:
    """A mapped, validated safetensors file."""

    @staticmethod
    def open(path: bytes) -> SafetensorsFile: ...
    @property
    def size(self) -> int: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    def names(self) -> list[str]:
        """Names of the tensors, in the order of the header."""
    def dtype(self, name: str) -> str:
        """Type as safetensors calls it, for instance ``BF16``."""
    def shape(self, name: str) -> tuple[int, ...]: ...
    def offset(self, name: str) -> int:
        """File offset of the tensor in bytes."""
    def tensor(self, name: str) -> npt.NDArray[np.uint8]:
        """Read-only view of the tensor's bytes."""

class GgufFile:
    """A mapped, validated GGUF file."""

    @staticmethod
    def open(path: bytes) -> GgufFile: ...
    @property
    def size(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def alignment(self) -> int: ...
    def metadata(self) -> dict[str, object]:
        """Values by key: int, float, bool, str; arrays of numbers as NumPy arrays, of the rest as lists.

        Text that is not UTF-8 comes as bytes.
        """
    def names(self) -> list[str]:
        """Names of the tensors, in the order of the file."""
    def dtype(self, name: str) -> str:
        """Type as GGUF calls it, for instance ``Q8_0``."""
    def shape(self, name: str) -> tuple[int, ...]:
        """Rows first: the reverse of the order in the file."""
    def offset(self, name: str) -> int:
        """File offset of the tensor in bytes."""
    def tensor(self, name: str) -> npt.NDArray[np.uint8]:
        """Read-only view of the tensor's blocks."""
    def decode(self, name: str, expert: int | None = None) -> npt.NDArray[np.float32]:
        """The tensor's values in its shape; `expert`: of that matrix of a stack [experts, n, k]."""
    def grid(
        self, name: str, expert: int | None = None
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None:
        """Codes [..., k] and bytes of the scales [..., groups * bytes] as stored; None for other types.

        Q8_0: two's complement and float16; Q4_0: 0..15 and float16; MXFP4: E2M1 and E8M0.
        """

def gguf_type(name: str) -> tuple[int, int, int]:
    """Number of a type in GGUF files, elements and bytes of its block."""

def gguf_encode(type: str, values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:  # noqa: A002
    """Finite values [n] -> blocks of F32, F16, BF16, Q8_0 or Q4_0; n a multiple of the block."""

def gguf_decode(type: str, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:  # noqa: A002
    """Blocks, one after the other -> values [n]."""

def gguf_join(  # the inverse of GgufFile.grid
    type: str,  # noqa: A002
    codes: npt.NDArray[np.uint8],
    scales: npt.NDArray[np.uint8],
) -> npt.NDArray[np.uint8]: ...
def check_json(text: bytes) -> None:
    """Raises IntegrityError unless ``text`` is one JSON value by RFC 8259, not deeper than 32."""

# --- qmatmul

def qmatmul_row_sums(codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """The sums of the rows of codes [n, k], int32 [n]."""

def qmatmul_pack(
    type: str,  # noqa: A002
    weights: npt.NDArray[np.generic],
    group: int | None = None,
) -> npt.NDArray[np.uint8]:
    """Row-major [n, k] weights -> the packed bytes every kernel of this type reads; `group` for a grid."""

def qmatmul_unpack(
    type: str,  # noqa: A002
    packed: npt.NDArray[np.uint8],
    out: npt.NDArray[np.generic],
    group: int | None = None,
) -> None:
    """Packed bytes -> row-major [n, k], written to `out`."""

# --- linear

class OpenMpTeam:
    """Threads of an OpenMP runtime that the process has loaded for somebody else."""

    def __init__(self, parallel: int, threads: int) -> None:
        """`parallel`: the address of its GOMP_parallel."""
    @property
    def threads(self) -> int: ...

def linear_run(
    tensor: dict[str, object],
    x: npt.NDArray[np.float32],
    out: npt.NDArray[np.float32],
    threads: ThreadPool | OpenMpTeam,
    activation: str = "fp32",
    multiplier: npt.NDArray[np.float32] | None = None,
    paired: bool = False,
) -> None:
    """Rows [m, k] through a linear layer by itself, into [m, n]; the layer described as for Plan.linear."""

def linear_is_paired(tensor: dict[str, object]) -> bool:
    """Whether neighbouring int8 codes stay within 128 in sum; reads them all."""

# --- lexical

def count_terms(
    texts: list[str], terms: list[str]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]: ...
def count_tellings(
    texts: list[str], starts: list[int], last: int, of_oneself: list[str], happened: list[str]
) -> npt.NDArray[np.int32]: ...

# --- scan

class ScanTables:
    """Tables that are searched as if they were one; row numbers go on from each to the next."""

    def __init__(
        self,
        codes: list[npt.NDArray[np.int8]],
        scales: list[npt.NDArray[np.float32]],
        signs: list[npt.NDArray[np.uint8] | None],
    ) -> None: ...
    def top_bits(
        self,
        query: npt.NDArray[np.uint8],
        top: int,
        excluded: Sequence[npt.NDArray[np.uint8] | None],
        threads: int = 1,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]: ...
    def near_bits(
        self,
        query: npt.NDArray[np.uint8],
        top: int,
        excluded: Sequence[npt.NDArray[np.uint8] | None],
        threads: int = 1,
    ) -> npt.NDArray[np.int64]: ...
    def dot(
        self, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], threads: int = 1
    ) -> npt.NDArray[np.float32]: ...

def scan_top_bits(
    codes: npt.NDArray[np.uint8],
    query: npt.NDArray[np.uint8],
    top: int,
    rows: npt.NDArray[np.uint32] | None = None,
    excluded: npt.NDArray[np.uint8] | None = None,
    threads: int = 1,
    max_distance: int | None = None,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]: ...
def scan_top_dot(
    codes: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float32],
    query: npt.NDArray[np.float32],
    top: int,
    rows: npt.NDArray[np.uint32] | None = None,
    excluded: npt.NDArray[np.uint8] | None = None,
    threads: int = 1,
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]: ...
def scan_dot(
    codes: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float32],
    query: npt.NDArray[np.float32],
    rows: npt.NDArray[np.uint32] | None = None,
) -> npt.NDArray[np.float32]: ...
def scan_sign_codes(vectors: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.uint8]: ...
def scan_rotate(vectors: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]: ...
def scan_signed_sums(
    codes: npt.NDArray[np.uint8], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]: ...
def scan_query_limit(dim: int) -> int: ...
def scan_run(
    name: str,
    codes: npt.NDArray[np.uint8] | npt.NDArray[np.int8],
    query: npt.NDArray[np.uint8] | npt.NDArray[np.int16],
    rows: npt.NDArray[np.uint32] | None = None,
    repeat: int = 1,
) -> npt.NDArray[np.int32]: ...

# --- runtime

class ThreadPool:
    """Threads that share work dynamically; safe under concurrent use and fork."""

    def __init__(self, threads: int) -> None: ...
    @property
    def threads(self) -> int: ...

class KvCache:
    """Keys and values of many sequences; see csrc/runtime/cache/kv_cache.h."""

    def __init__(
        self,
        layers: list[tuple[int, int, int]],
        format: str,  # noqa: A002
        page_tokens: int,
        max_tokens: int,
        sinks: int = 4,
        recent: int = 64,
        chunk: int = 512,
    ) -> None:
        """`layers`: a group, heads of keys and head size for each."""

    def start(self, shift: int = 0) -> int: ...
    def fork(self, sequence: int, tokens: int) -> int: ...
    def forget(self, sequence: int, tokens: int) -> None: ...
    def close(self, sequence: int) -> None: ...
    def length(self, sequence: int) -> int: ...
    def shift(self, sequence: int) -> int: ...
    def copy_pages(self, sequence: int, first: int, out: npt.NDArray[np.uint8]) -> None:
        """Copies as many whole pages as `out`, uint8 [pages, page_bytes], has rows."""

    def splice(self, sequence: int, first: int, count: int, pages: npt.NDArray[np.uint8]) -> None:
        """Puts `pages` in the place of `count` pages; what is behind them keeps its positions."""

    def turn(
        self,
        pages: npt.NDArray[np.uint8],
        distance: int,
        layers: list[tuple[int, bool, npt.NDArray[np.float32]]],
    ) -> None:
        """Moves the keys of copied pages; of each layer the first element that turns, whether neighbours
        turn against each other, and its frequencies.
        """

    def encode(self, pages: npt.NDArray[np.uint8], format: str) -> npt.NDArray[np.uint8]:  # noqa: A002
        """Copied pages in another format."""

    def decode(self, codes: npt.NDArray[np.uint8], format: str) -> npt.NDArray[np.uint8]:  # noqa: A002
        """Back to pages of this cache."""

    def encoded_bytes(self, format: str) -> int: ...  # noqa: A002
    def key_columns(self, layer: int) -> int: ...
    def read_keys(self, pages: npt.NDArray[np.uint8], layer: int, out: npt.NDArray[np.float32]) -> None:
        """Keys of copied pages as they are turned, float32 [pages * page_tokens, key_columns]."""

    def reserve(self, growth: list[tuple[int, int]]) -> None: ...
    def trim(self) -> None: ...
    def to_host(self) -> bool:
        """Brings pages back from a device; False where it gave them no more: every token must be written
        again then.
        """

    def rewind(self, sequence: int, tokens: int) -> None:
        """The tokens from `tokens` on will be written again, or were."""

    @property
    def device_bytes(self) -> int:
        """Memory of the pages on a device, or 0."""

    @property
    def free_tokens(self) -> int: ...
    @property
    def used_bytes(self) -> int: ...
    @property
    def held_bytes(self) -> int: ...
    @property
    def bound_bytes(self) -> int: ...
    @property
    def can_move(self) -> bool: ...
    @property
    def page_tokens(self) -> int: ...
    @property
    def page_bytes(self) -> int: ...

class Plan:
    """A forward as a flat list of operators over buffers; see csrc/runtime/plan.h."""

    def __init__(self, vocabulary: int, max_length: int, output_columns: int) -> None: ...
    def buffer(self, type: str, columns: int, group: int = 0) -> int: ...  # noqa: A002
    def columns(self, buffer: int) -> int: ...
    def embed(
        self,
        output: int,
        word: dict[str, object],
        position: dict[str, object] | None = None,
        token_type: dict[str, object] | None = None,
    ) -> None: ...
    def layer_norm(
        self,
        input: int,  # noqa: A002
        output: int,
        gamma: npt.NDArray[np.float32],
        beta: npt.NDArray[np.float32],
        epsilon: float,
    ) -> None: ...
    def rms_norm(
        self,
        input: int,  # noqa: A002
        output: int,
        gamma: npt.NDArray[np.float32],
        epsilon: float,
        first: int = 0,
        pieces: int = 1,
    ) -> None:
        """`pieces` pieces as wide as gamma, from column `first` on, each by itself."""

    def turns(self, output: int, frequencies: npt.NDArray[np.float32], factor: float = 1.0) -> None: ...
    def rope(
        self, buffer: int, turns: int, first: int, heads: int, head_dim: int, interleaved: bool = False
    ) -> None: ...
    def copy(
        self,
        input: int,  # noqa: A002
        output: int,
        width: int,
        count: int = 1,
        first: int = 0,
        step: int = 0,
        to: int = 0,
        to_step: int = 0,
    ) -> None:
        """`count` pieces of `width` columns, `step` apart from `first` on; a step of 0 repeats one."""

    def clear(self, output: int, width: int, count: int = 1, to: int = 0, to_step: int = 0) -> None:
        """Zeros in pieces of columns."""

    def positions(self, buffer: int, table: npt.NDArray[np.float32]) -> None:
        """Adds row i of `table` to the row at place i of each sequence."""

    def previous(self, input: int, output: int, width: int, first: int = 0, to: int = 0) -> None:  # noqa: A002
        """Copies columns of the row before; zeros at the first row of a sequence."""

    def cross_attention(self, input: int, output: int, heads: int, keys: int, values: int) -> None:  # noqa: A002
        """To keys and values from these columns on of the `memory` that a run is given."""

    def activate(self, input: int, output: int, kind: str, cap: float = 0.0) -> None:  # noqa: A002
        """`silu`, `gelu`, `gelu-tanh`, `quick-gelu`, `cap`.

        Gated where the input is twice as wide as the output.
        """

    def border(self) -> None:
        """A block of the model begins."""

    def need(self, residency: Residency, blocks: list[int], ahead: list[int]) -> None: ...
    def add(self, input: int, output: int) -> None: ...  # noqa: A002
    def quantise(
        self,
        input: int,  # noqa: A002
        output: int,
        multiplier: npt.NDArray[np.float32] | None = None,
    ) -> None: ...
    def multiply(self, input: int, output: int, multiplier: npt.NDArray[np.float32]) -> None: ...  # noqa: A002
    def observe(self, input: int, statistics: npt.NDArray[np.float64]) -> None: ...  # noqa: A002
    def record(
        self,
        input: int,  # noqa: A002
        rows: npt.NDArray[np.float32],
        count: npt.NDArray[np.int64],
    ) -> None: ...
    def linear(
        self,
        layers: list[dict[str, object]],
        input: int,  # noqa: A002
        output: int,
        residual: int = -1,
        gelu: bool = False,
        column: int = -1,
    ) -> None: ...
    def linear_heads(
        self,
        heads: list[dict[str, object]],
        input: int,  # noqa: A002
        output: int,
        first: int,
        step: int,
        to: int,
        to_step: int,
    ) -> None:
        """A matrix per head, over columns `step` apart from `first`, to those `to_step` apart from `to`."""

    def attention(
        self,
        input: int,  # noqa: A002
        output: int,
        heads: int,
        key_heads: int = 0,
        causal: bool = False,
        window: int = 0,
        scale: float = 0.0,
        cap: float = 0.0,
        layer: int = -1,
    ) -> None: ...
    def route(
        self,
        logits: int,
        output: int,
        top: int,
        score: str = "softmax",
        bias: npt.NDArray[np.float32] | None = None,
        groups: int = 1,
        kept: int = 1,
        group_score: str = "largest",
        normalised: bool = False,
        factor: float = 1.0,
    ) -> None:
        """Numbers of experts, then their weights, into an output of 2 * `top` columns."""

    def row_scale(self, route: int, buffer: int) -> None:
        """Rows of `buffer` times the weight of their one expert."""

    def experts(
        self,
        experts: list[tuple[dict[str, object], dict[str, object], dict[str, object]]]
        | tuple[WeightTable, list[int]],
        input: int,  # noqa: A002
        route: int,
        output: int,
        activation: str = "silu",
        inner: str = "fp32",
        inner_group: int = 0,
        residual: int = -1,
        moving: dict[str, object] | None = None,
        guess: int = -1,
    ) -> None:
        """Gate, up and down of each, or their rows of a table of what comes and goes.

        `inner` is what their products become before they meet the downs.

        `moving`, of experts that come and go: `residency`; `blocks`, expert i is its block `blocks[i]`;
        `ahead`, blocks of the next layers, read if more than `threshold` of the last rounds used them;
        `together`, wait for all that fit; `next`, blocks of the experts of the next layer that has such,
        of which `guess` holds a route that is likely: what it names is read while this layer computes.
        """

    def pool(self, input: int, kind: str) -> None: ...  # noqa: A002
    def result(self, buffer: int) -> None:
        """The buffer that is the result, a row per token; without it `pool` makes a row per sequence."""

    def source(self, buffer: int) -> None:
        """The buffer that stands for the rows that `run_rows` is given."""

    def finish(self) -> None: ...
    def kernels(self) -> list[str]: ...
    @property
    def scratch_bytes_per_token(self) -> int: ...
    def run(
        self,
        token_ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int32],
        threads: ThreadPool,
        normalise: bool,
        micro_tokens: int = 128,
        memory: npt.NDArray[np.float32] | None = None,
        memory_offsets: npt.NDArray[np.int32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Runs the forward over packed sequences without the GIL.

        Returns float32 [sequences or tokens, output_columns].
        """

    def run_cached(
        self,
        cache: KvCache,
        sequences: list[int],
        token_ids: npt.NDArray[np.int32] | None,
        offsets: npt.NDArray[np.int32],
        threads: ThreadPool,
        micro_tokens: int = 128,
        memory: npt.NDArray[np.float32] | None = None,
        memory_offsets: npt.NDArray[np.int32] | None = None,
        rows: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Appends tokens to sequences of a cache without the GIL -> float32 [tokens, output_columns].

        A plan that reads rows, `Plan.source`, is given `rows` in the place of `token_ids`.
        """

    def run_step(
        self,
        cache: KvCache,
        sequences: list[int],
        token_ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int32],
        counts: list[int],
        head: Plan,
        threads: ThreadPool,
    ) -> npt.NDArray[np.float32]:
        """As `run_cached`, and what `head` makes of the last `counts` rows of each sequence.

        Returns float32 [rows, output_columns of the head].
        """

    def run_rows(
        self,
        rows: npt.NDArray[np.float32],
        threads: ThreadPool,
        offsets: npt.NDArray[np.int32] | None = None,
        normalise: bool = False,
        micro_tokens: int = 128,
    ) -> npt.NDArray[np.float32]:
        """Runs the forward over rows of floats without the GIL.

        Returns float32 [rows or sequences, output_columns]; without offsets all rows are one sequence.
        """

# --- trellis

def trellis_encode(
    bits: int,
    values: npt.NDArray[np.float32],
    scales: npt.NDArray[np.float32],
    group: int,
    codes: npt.NDArray[np.uint8],
    levels: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32] | None = None,
    states: npt.NDArray[np.uint8] | None = None,
    threads: int = 1,
    kernel: str | None = None,
) -> None:
    """Trellis codes [n, k] whose levels times scales [n, groups] lie nearest to values, and those levels.

    ``weight`` [k]: root of what each column's squared error counts; ``states`` [n, 4]: bits of the streams
    before the first codes; ``kernel``: a row by name, for tests.
    """
