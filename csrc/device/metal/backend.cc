// The C interface of device/backend.h over what driver.h asks of Metal.

#include "device/backend.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "device/metal/driver.h"
#include "device/metal/kernel_rows.h"
#include "device/metal/stream.h"

using arrowmind::metal::Buffer;
using arrowmind::metal::Function;
using arrowmind::metal::Gpu;
using arrowmind::metal::KernelRow;
using arrowmind::metal::Mark;
using arrowmind::metal::Stream;

// What the handles of the C interface stand for.
struct ArrowmindDevice {
  explicit ArrowmindDevice(std::shared_ptr<Gpu> own) : gpu(std::move(own)) {}

  struct Kernel {
    const KernelRow* row;
    std::unique_ptr<Function> function;
  };

  std::shared_ptr<Gpu> gpu;
  std::atomic<bool> is_lost = false;
  std::mutex mutex;  // of what follows
  std::map<std::string, Kernel> kernels;
};

struct ArrowmindStream {
  explicit ArrowmindStream(ArrowmindDevice* own) : device(own), stream(*own->gpu) {}

  ArrowmindDevice* device;
  Stream stream;
};

struct ArrowmindEvent {
  explicit ArrowmindEvent(ArrowmindDevice* own) : device(own) {}

  ArrowmindDevice* device;
  std::mutex mutex;
  std::shared_ptr<const Mark> last;  // null: never recorded

  std::shared_ptr<const Mark> mark() {
    const std::lock_guard lock(mutex);
    return last;
  }
};

namespace arrowmind::metal {
namespace {

constexpr size_t kPinnedAlignment = 64;

int32_t say(ArrowmindWords* words, int32_t status, const char* text) {
  std::snprintf(words->text, sizeof words->text, "%s", text);
  return status;
}

template <typename Body>
int32_t answer(ArrowmindWords* words, const Body& body) noexcept {
  try {
    body();
    return ARROWMIND_OK;
  } catch (const Refusal& refusal) {
    return say(words, refusal.status, refusal.words.c_str());
  } catch (const std::bad_alloc&) {
    return say(words, ARROWMIND_OUT_OF_MEMORY, "the host has no memory left");
  } catch (const std::exception& error) {
    return say(words, ARROWMIND_FAILED, error.what());
  }
}

// What is asked of a device. One that was lost is remembered, and asked nothing more.
template <typename Body>
int32_t ask(ArrowmindDevice* device, ArrowmindWords* words, const Body& body) {
  if (device->is_lost) return say(words, ARROWMIND_LOST, "the device was lost by an earlier call");
  const int32_t status = answer(words, body);
  if (status == ARROWMIND_LOST) device->is_lost = true;
  return status;
}

std::shared_ptr<Gpu> gpu_at(int32_t index) {
  const std::vector<std::shared_ptr<Gpu>> found = gpus();
  if (index < 0 || static_cast<size_t>(index) >= found.size()) {
    throw Refusal{ARROWMIND_FAILED, "Metal tells of " + std::to_string(found.size()) + " devices"};
  }
  return found[static_cast<size_t>(index)];
}

const std::shared_ptr<Buffer>& buffer_of(uint64_t memory) {
  return *reinterpret_cast<const std::shared_ptr<Buffer>*>(memory);
}

char* address_of(ArrowmindPlace place) {
  return buffer_of(place.memory)->contents() + place.offset;
}

int32_t probe(int32_t* count, ArrowmindWords* words) {
  int32_t failure = ARROWMIND_PROBE_FAILED;
  const int32_t status = answer(words, [&] {
    try {
      *count = static_cast<int32_t>(gpus().size());
    } catch (const Refusal& refusal) {
      failure = refusal.status;
      throw;
    }
  });
  return status == ARROWMIND_OK ? int32_t{ARROWMIND_USABLE} : failure;
}

int32_t describe(int32_t index, ArrowmindDeviceInfo* info, ArrowmindWords* words) {
  return answer(words, [&] { gpu_at(index)->describe(info); });
}

int32_t open(int32_t index, ArrowmindDevice** device, ArrowmindWords* words) {
  return answer(words, [&] { *device = new ArrowmindDevice(gpu_at(index)); });
}

void close(ArrowmindDevice* device) {
  delete device;
}

int32_t memory_info(ArrowmindDevice* device, int64_t* free_bytes, int64_t* total_bytes,
                    ArrowmindWords* words) {
  return ask(device, words, [&] {
    ArrowmindDeviceInfo info = {};
    device->gpu->describe(&info);
    *total_bytes = info.total_bytes;
    *free_bytes = device->gpu->free_bytes();
  });
}

int32_t allocate(ArrowmindDevice* device, int64_t bytes, uint64_t* memory, ArrowmindWords* words) {
  return ask(device, words, [&] {
    auto handle = std::make_unique<std::shared_ptr<Buffer>>(device->gpu->allocate(bytes));
    *memory = reinterpret_cast<uint64_t>(handle.release());
  });
}

// Work that uses the buffer keeps it until it has ended.
void release(ArrowmindDevice*, uint64_t memory) {
  delete reinterpret_cast<std::shared_ptr<Buffer>*>(memory);
}

int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words) {
  return ask(device, words, [&] { *stream = new ArrowmindStream(device); });
}

void destroy_stream(ArrowmindStream* stream) {
  ArrowmindWords words;
  answer(&words, [&] { stream->stream.settle(); });
  delete stream;
}

int32_t synchronise(ArrowmindStream* stream, ArrowmindWords* words) {
  return ask(stream->device, words, [&] { stream->stream.settle(); });
}

int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords* words) {
  return ask(stream->device, words, [&] { stream->stream.copy_on_host(address_of(to), from, bytes); });
}

int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                 ArrowmindWords* words) {
  return ask(stream->device, words, [&] { stream->stream.copy_on_host(to, address_of(from), bytes); });
}

int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords* words) {
  return ask(stream->device, words, [&] {
    stream->stream.copy_within(buffer_of(to.memory), to.offset, buffer_of(from.memory), from.offset, bytes);
  });
}

int32_t create_event(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words) {
  return ask(device, words, [&] { *event = new ArrowmindEvent(device); });
}

void destroy_event(ArrowmindEvent* event) {
  delete event;
}

int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words) {
  return ask(event->device, words, [&] {
    std::shared_ptr<const Mark> mark = stream->stream.record();
    const std::lock_guard lock(event->mutex);
    event->last = std::move(mark);
  });
}

int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words) {
  return ask(event->device, words, [&] {
    if (const auto mark = event->mark()) stream->stream.wait(*mark);
  });
}

int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words) {
  return ask(event->device, words, [&] {
    const auto mark = event->mark();
    *reached = mark == nullptr || mark->batch->is_done() ? 1 : 0;
  });
}

int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words) {
  return ask(from->device, words, [&] {
    const std::shared_ptr<const Mark> first = from->mark(), second = to->mark();
    for (const auto& mark : {first, second}) {
      if (mark == nullptr) throw Refusal{ARROWMIND_FAILED, "an event was never recorded"};
      if (!mark->batch->is_done()) throw Refusal{ARROWMIND_FAILED, "an event is not reached yet"};
    }
    *nanoseconds = second->batch->end_nanoseconds() - first->batch->end_nanoseconds();
  });
}

const KernelRow& row_named(const char* name) {
  for (const KernelRow& row : kernel_rows()) {
    if (std::strcmp(row.name, name) == 0) return row;
  }
  throw Refusal{ARROWMIND_NOT_SUPPORTED, "no kernel of this name"};
}

// Made when it is first asked for. Its address in the map is its handle.
int32_t find_kernel(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words) {
  return ask(device, words, [&] {
    const KernelRow& row = row_named(name);
    const std::lock_guard lock(device->mutex);
    auto found = device->kernels.find(row.name);
    if (found == device->kernels.end()) {
      auto function = device->gpu->make(row.name, row.text);
      found = device->kernels.emplace(row.name, ArrowmindDevice::Kernel{&row, std::move(function)}).first;
    }
    *kernel = reinterpret_cast<uint64_t>(&found->second);
  });
}

const ArrowmindDevice::Kernel& kernel_of(uint64_t handle) {
  return *reinterpret_cast<const ArrowmindDevice::Kernel*>(handle);
}

int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words) {
  return ask(stream->device, words, [&] {
    const ArrowmindDevice::Kernel& kernel = kernel_of(launch->kernel);
    const KernelRow& row = *kernel.row;
    if (launch->place_count != row.places || launch->parameter_bytes != row.parameter_bytes) {
      throw Refusal{ARROWMIND_LAUNCH_FAILED, "another number of places or bytes of parameters"};
    }
    if (launch->group[0] != row.threads || launch->group[1] != 1 || launch->group[2] != 1) {
      throw Refusal{ARROWMIND_LAUNCH_FAILED, "another group than the kernel is made for"};
    }
    Dispatch dispatch = {.function = kernel.function.get(),
                         .places = {},
                         .parameters = launch->parameters,
                         .parameter_bytes = launch->parameter_bytes,
                         .grid = {launch->grid[0], launch->grid[1], launch->grid[2]},
                         .threads = row.threads};
    for (uint32_t i = 0; i < launch->place_count; ++i) {
      dispatch.places.emplace_back(buffer_of(launch->places[i].memory), launch->places[i].offset);
    }
    stream->stream.launch(dispatch);
  });
}

// The host's memory is the device's: any will do.
int32_t allocate_pinned(ArrowmindDevice* device, int64_t bytes, void** address, ArrowmindWords* words) {
  return ask(device, words, [&] {
    const size_t size = (static_cast<size_t>(bytes) + kPinnedAlignment - 1) / kPinnedAlignment;
    *address = std::aligned_alloc(kPinnedAlignment, size * kPinnedAlignment);
    if (*address == nullptr) throw std::bad_alloc();
  });
}

void release_pinned(ArrowmindDevice*, void* address) {
  std::free(address);
}

int32_t describe_kernel(ArrowmindDevice*, uint64_t kernel, ArrowmindKernelInfo* info, ArrowmindWords*) {
  const KernelRow& row = *kernel_of(kernel).row;
  info->group[0] = row.threads;
  info->group[1] = info->group[2] = 1;
  for (int i = 0; i < 3; ++i) info->tile[i] = row.tile[i];
  info->shared_bytes = 0;  // kernels say themselves what they share
  return ARROWMIND_OK;
}

constexpr ArrowmindBackend kMetal = {
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
    .register_host = nullptr,
    .unregister_host = nullptr,
    .describe_kernel = describe_kernel,
    .adopt_stream = nullptr,
    .adopt_memory = nullptr,
    .make_graph = nullptr,
    .destroy_graph = nullptr,
    .run_graph = nullptr,
};

}  // namespace
}  // namespace arrowmind::metal

extern "C" __attribute__((visibility("default"))) const ArrowmindBackend* arrowmind_device_backend(
    uint32_t abi) {
  return abi == ARROWMIND_DEVICE_ABI ? &arrowmind::metal::kMetal : nullptr;
}
