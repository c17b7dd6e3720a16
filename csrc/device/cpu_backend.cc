#include "device/cpu_backend.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <system_error>
#include <vector>

#include "base/checked.h"
#include "base/cpu.h"
#include "device/cpu_call.h"
#include "device/cpu_kernels.h"
#include "device/cpu_stream.h"

using arrowmind::device::CpuMark;
using arrowmind::device::CpuStream;

// What the handles of the C interface stand for.
struct ArrowmindDevice {
  std::mutex mutex;
  std::set<ArrowmindStream*> streams;
};

struct ArrowmindStream {
  ArrowmindDevice* device;
  CpuStream work;
};

struct ArrowmindGraph {
  ArrowmindDevice* device;
  std::vector<arrowmind::device::CpuCall> calls;
};

struct ArrowmindEvent {
  std::mutex mutex;
  std::shared_ptr<CpuMark> last;  // null: never recorded

  std::shared_ptr<CpuMark> mark() {
    const std::lock_guard lock(mutex);
    return last;
  }
};

namespace arrowmind::device {
namespace {

constexpr int64_t kAlignment = 256;
constexpr const char* kOtherArguments = "another number of places or bytes of parameters";

int32_t say(ArrowmindWords* words, int32_t status, const char* text) {
  std::snprintf(words->text, sizeof words->text, "%s", text);
  return status;
}

int64_t pages_in_bytes(int name) {
  return static_cast<int64_t>(sysconf(name)) * sysconf(_SC_PAGESIZE);
}

char* address(ArrowmindPlace place) {
  return reinterpret_cast<char*>(place.memory) + place.offset;
}

int32_t probe(int32_t* count, ArrowmindWords*) {
  *count = 1;
  return ARROWMIND_USABLE;
}

int32_t describe(int32_t index, ArrowmindDeviceInfo* info, ArrowmindWords* words) {
  if (index != 0) return say(words, ARROWMIND_FAILED, "there is one cpu device, 0");
  info->flags = ARROWMIND_SHARES_HOST_MEMORY;
  std::snprintf(info->name, sizeof info->name, "%s", cpu_brand().c_str());
  info->total_bytes = pages_in_bytes(_SC_PHYS_PAGES);
  info->alignment_bytes = 1;
  return ARROWMIND_OK;
}

int32_t open(int32_t index, ArrowmindDevice** device, ArrowmindWords* words) {
  if (index != 0) return say(words, ARROWMIND_FAILED, "there is one cpu device, 0");
  *device = new (std::nothrow) ArrowmindDevice();
  return *device == nullptr ? ARROWMIND_OUT_OF_MEMORY : ARROWMIND_OK;
}

void close(ArrowmindDevice* device) {
  delete device;
}

int32_t memory_info(ArrowmindDevice*, int64_t* free_bytes, int64_t* total_bytes, ArrowmindWords*) {
  *total_bytes = pages_in_bytes(_SC_PHYS_PAGES);
#ifdef _SC_AVPHYS_PAGES
  *free_bytes = pages_in_bytes(_SC_AVPHYS_PAGES);
#else
  *free_bytes = *total_bytes;
#endif
  return ARROWMIND_OK;
}

int32_t allocate_host(int64_t bytes, void** memory, ArrowmindWords* words) {
  // The system would promise more than there is, and end the process when it is used.
  if (bytes > pages_in_bytes(_SC_PHYS_PAGES)) {
    return say(words, ARROWMIND_OUT_OF_MEMORY, "more than the machine has");
  }
  *memory = std::aligned_alloc(kAlignment, static_cast<size_t>(round_up(bytes, kAlignment)));
  return *memory == nullptr ? say(words, ARROWMIND_OUT_OF_MEMORY, "the system gives no more") : ARROWMIND_OK;
}

int32_t allocate(ArrowmindDevice*, int64_t bytes, uint64_t* memory, ArrowmindWords* words) {
  void* found = nullptr;
  const int32_t status = allocate_host(bytes, &found, words);
  *memory = reinterpret_cast<uint64_t>(found);
  return status;
}

void wait_for_all(ArrowmindDevice* device) {
  const std::lock_guard lock(device->mutex);  // no stream goes away meanwhile
  for (ArrowmindStream* stream : device->streams) stream->work.synchronise();
}

void release(ArrowmindDevice* device, uint64_t memory) {
  wait_for_all(device);
  std::free(reinterpret_cast<void*>(memory));
}

int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words) try {
  auto made = std::unique_ptr<ArrowmindStream>(new ArrowmindStream{device, {}});
  const std::lock_guard lock(device->mutex);
  device->streams.insert(made.get());
  *stream = made.release();
  return ARROWMIND_OK;
} catch (const std::system_error&) {
  return say(words, ARROWMIND_FAILED, "the system gives no more threads");
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_stream(ArrowmindStream* stream) {
  stream->work.synchronise();  // while release() still knows of it
  {
    const std::lock_guard lock(stream->device->mutex);
    stream->device->streams.erase(stream);
  }
  delete stream;
}

template <typename Task>
int32_t submit(ArrowmindStream* stream, Task task) try {
  stream->work.submit(std::move(task));
  return ARROWMIND_OK;
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

int32_t copy(ArrowmindStream* stream, void* to, const void* from, int64_t bytes) {
  return submit(stream, [=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}

int32_t synchronise(ArrowmindStream* stream, ArrowmindWords*) {
  stream->work.synchronise();
  return ARROWMIND_OK;
}

int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords*) {
  return copy(stream, address(to), from, bytes);
}

int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes, ArrowmindWords*) {
  return copy(stream, to, address(from), bytes);
}

int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords*) {
  return copy(stream, address(to), address(from), bytes);
}

int32_t create_event(ArrowmindDevice*, ArrowmindEvent** event, ArrowmindWords*) try {
  *event = new ArrowmindEvent();
  return ARROWMIND_OK;
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_event(ArrowmindEvent* event) {
  delete event;
}

int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords*) try {
  const auto mark = std::make_shared<CpuMark>();
  const int32_t status = submit(stream, [mark] { mark->reach(); });
  if (status != ARROWMIND_OK) return status;
  const std::lock_guard lock(event->mutex);
  event->last = mark;
  return ARROWMIND_OK;
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords*) {
  const std::shared_ptr<CpuMark> mark = event->mark();
  return mark == nullptr ? ARROWMIND_OK : submit(stream, [mark] { mark->wait(); });
}

int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords*) {
  const std::shared_ptr<CpuMark> mark = event->mark();
  *reached = mark == nullptr || mark->is_reached() ? 1 : 0;
  return ARROWMIND_OK;
}

int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words) {
  const std::shared_ptr<CpuMark> first = from->mark(), second = to->mark();
  for (const auto& mark : {first, second}) {
    if (mark == nullptr) return say(words, ARROWMIND_FAILED, "an event was never recorded");
    if (!mark->is_reached()) return say(words, ARROWMIND_FAILED, "an event is not reached yet");
  }
  const auto took = second->when() - first->when();
  *nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
  return ARROWMIND_OK;
}

int32_t find_kernel(ArrowmindDevice*, const char* name, uint64_t* kernel, ArrowmindWords* words) {
  const CpuKernelRow* row = find_cpu_kernel(name);
  if (row == nullptr) return say(words, ARROWMIND_NOT_SUPPORTED, "no kernel of this name");
  *kernel = reinterpret_cast<uint64_t>(row);
  return ARROWMIND_OK;
}

// One call does all of the work, whatever the grid.
int32_t describe_kernel(ArrowmindDevice*, uint64_t, ArrowmindKernelInfo* info, ArrowmindWords*) {
  for (int i = 0; i < 3; ++i) {
    info->group[i] = 1;
    info->tile[i] = UINT32_MAX;
  }
  return ARROWMIND_OK;
}

int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words) try {
  CpuCall call;
  if (!CpuCall::make(*launch, &call)) return say(words, ARROWMIND_LAUNCH_FAILED, kOtherArguments);
  return submit(stream, std::move(call));
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

int32_t make_graph(ArrowmindDevice* device, const ArrowmindLaunch* launches, uint32_t count,
                   ArrowmindGraph** graph, ArrowmindWords* words) try {
  auto made = std::make_unique<ArrowmindGraph>(ArrowmindGraph{device, {}});
  for (uint32_t i = 0; i < count; ++i) {
    if (!CpuCall::make(launches[i], &made->calls.emplace_back())) {
      return say(words, ARROWMIND_LAUNCH_FAILED, kOtherArguments);
    }
  }
  *graph = made.release();
  return ARROWMIND_OK;
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_graph(ArrowmindGraph* graph) {
  wait_for_all(graph->device);
  delete graph;
}

int32_t run_graph(ArrowmindStream* stream, ArrowmindGraph* graph, ArrowmindWords*) {
  return submit(stream, [graph] {
    for (const CpuCall& call : graph->calls) call();
  });
}

int32_t allocate_pinned(ArrowmindDevice*, int64_t bytes, void** memory, ArrowmindWords* words) {
  return allocate_host(bytes, memory, words);
}

void release_pinned(ArrowmindDevice*, void* memory) {
  std::free(memory);
}

// Every memory of the host is the device's already.
int32_t register_host(ArrowmindDevice*, const void*, int64_t, ArrowmindWords*) {
  return ARROWMIND_OK;
}
void unregister_host(ArrowmindDevice*, const void*) {}

constexpr ArrowmindBackend kCpu = {
    .abi = ARROWMIND_DEVICE_ABI,
    .size = sizeof(ArrowmindBackend),
    .probe = probe,
    .describe = describe,
    .open = open,
    .close = close,
    .memory_info = memory_info,
    .allocate = allocate,
    .release = release,
    .create_stream = create_stream,
    .destroy_stream = destroy_stream,
    .synchronise = synchronise,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .copy_within = copy_within,
    .create_event = create_event,
    .destroy_event = destroy_event,
    .record = record,
    .wait = wait,
    .query = query,
    .elapsed = elapsed,
    .find_kernel = find_kernel,
    .launch = launch,
    .allocate_pinned = allocate_pinned,
    .release_pinned = release_pinned,
    .register_host = register_host,
    .unregister_host = unregister_host,
    .describe_kernel = describe_kernel,
    .adopt_stream = nullptr,
    .adopt_memory = nullptr,
    .make_graph = make_graph,
    .destroy_graph = destroy_graph,
    .run_graph = run_graph,
};

}  // namespace

const ArrowmindBackend& cpu_backend() {
  return kCpu;
}

}  // namespace arrowmind::device
