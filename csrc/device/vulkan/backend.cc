// The C interface of device/backend.h over Vulkan.

#include "device/backend.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "device/vulkan/refusal.h"
#include "device/vulkan/stream.h"

using arrowmind::vulkan::Device;
using arrowmind::vulkan::Mark;
using arrowmind::vulkan::Stream;

// What the handles stand for.
struct ArrowmindDevice {
  Device device;
};

struct ArrowmindStream {
  std::shared_ptr<Stream> stream;
};

struct ArrowmindEvent {
  std::mutex mutex;
  std::shared_ptr<Mark> last;  // null: never recorded

  std::shared_ptr<Mark> mark() {
    const std::lock_guard lock(mutex);
    return last;
  }
};

namespace arrowmind::vulkan {
namespace {

// Wide enough for shaders that read 16 bytes at once, and for lines of caches.
constexpr int64_t kLeastAlignment = 64;

int32_t probe(int32_t* count, ArrowmindWords* words) {
  int32_t found = ARROWMIND_PROBE_FAILED;
  const int32_t status = answer(words, [&] {
    const Driver& known = driver();
    *count = static_cast<int32_t>(known.devices.size());
    say(words, known.words.c_str());
    found = known.probe;
  });
  return status == ARROWMIND_OK ? found : ARROWMIND_PROBE_FAILED;
}

const PhysicalDevice& physical(int32_t index) {
  const Driver& known = driver();
  if (index < 0 || static_cast<size_t>(index) >= known.devices.size()) {
    refuse(ARROWMIND_FAILED, "the driver tells of " + std::to_string(known.devices.size()) + " devices");
  }
  return known.devices[static_cast<size_t>(index)];
}

const char* type_name(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return "software";
    default:
      return "other";
  }
}

int32_t describe(int32_t index, ArrowmindDeviceInfo* info, ArrowmindWords* words) {
  return answer(words, [&] {
    const PhysicalDevice& device = physical(index);
    const bool is_software = device.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    if (device.shares_host_memory) info->flags |= ARROWMIND_SHARES_HOST_MEMORY;
    if (is_software) info->flags |= ARROWMIND_IS_SOFTWARE;
    std::snprintf(info->name, sizeof info->name, "%.127s", device.properties.deviceName);
    std::snprintf(info->driver, sizeof info->driver, "%s", device.driver.c_str());
    std::snprintf(info->architecture, sizeof info->architecture, "%s",
                  type_name(device.properties.deviceType));
    info->total_bytes = device.total_bytes;
    if (info->size >= sizeof *info) info->most_place_bytes = device.most_place_bytes;
    info->alignment_bytes =
        std::max(kLeastAlignment, static_cast<int64_t>(device.limits().minStorageBufferOffsetAlignment));
  });
}

int32_t open(int32_t index, ArrowmindDevice** device, ArrowmindWords* words) {
  return answer(words, [&] { *device = new ArrowmindDevice{Device(driver(), physical(index))}; });
}

void close(ArrowmindDevice* device) {
  delete device;
}

int32_t memory_info(ArrowmindDevice* device, int64_t* free_bytes, int64_t* total_bytes,
                    ArrowmindWords* words) {
  return answer(words, [&] {
    device->device.expect_here();
    device->device.memory_info(free_bytes, total_bytes);
  });
}

int32_t allocate(ArrowmindDevice* device, int64_t bytes, uint64_t* memory, ArrowmindWords* words) {
  return answer(words,
                [&] { *memory = reinterpret_cast<uint64_t>(device->device.allocate(bytes, Use::kDevice)); });
}

void release(ArrowmindDevice* device, uint64_t memory) {
  device->device.finish_streams();
  device->device.release(reinterpret_cast<Memory*>(memory));
}

int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words) {
  return answer(words, [&] {
    device->device.expect_here();
    *stream = new ArrowmindStream{std::make_shared<Stream>(device->device)};
  });
}

void destroy_stream(ArrowmindStream* stream) {
  delete stream;
}

int32_t synchronise(ArrowmindStream* stream, ArrowmindWords* words) {
  return answer(words, [&] { stream->stream->synchronise(); });
}

const Memory& memory_of(ArrowmindPlace place) {
  return *reinterpret_cast<const Memory*>(place.memory);
}

int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords* words) {
  return answer(words, [&] {
    stream->stream->copy_in(memory_of(to), to.offset, static_cast<const char*>(from), bytes);
  });
}

int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                 ArrowmindWords* words) {
  return answer(
      words, [&] { stream->stream->copy_out(static_cast<char*>(to), memory_of(from), from.offset, bytes); });
}

int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords* words) {
  return answer(words, [&] {
    stream->stream->copy_within(memory_of(to), to.offset, memory_of(from), from.offset, bytes);
  });
}

int32_t create_event(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words) {
  return answer(words, [&] {
    device->device.expect_here();
    *event = new ArrowmindEvent();
  });
}

void destroy_event(ArrowmindEvent* event) {
  delete event;
}

int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words) {
  return answer(words, [&] {
    std::shared_ptr<Mark> mark = stream->stream->record();
    const std::lock_guard lock(event->mutex);
    event->last = std::move(mark);
  });
}

int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words) {
  return answer(words, [&] {
    if (const std::shared_ptr<Mark> mark = event->mark()) stream->stream->wait(*mark);
  });
}

int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words) {
  return answer(words, [&] {
    const std::shared_ptr<Mark> mark = event->mark();
    *reached = mark == nullptr || mark->is_reached() ? 1 : 0;
  });
}

int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words) {
  return answer(words, [&] {
    const std::shared_ptr<Mark> first = from->mark(), second = to->mark();
    for (const auto& mark : {first, second}) {
      if (mark == nullptr) refuse(ARROWMIND_FAILED, "an event was never recorded");
      if (!mark->is_reached()) refuse(ARROWMIND_FAILED, "an event is not reached yet");
    }
    *nanoseconds = first->nanoseconds_until(*second);
  });
}

int32_t find_kernel(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words) {
  return answer(words, [&] { *kernel = reinterpret_cast<uint64_t>(device->device.find_kernel(name)); });
}

int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words) {
  return answer(words, [&] { stream->stream->launch(*launch); });
}

int32_t allocate_pinned(ArrowmindDevice* device, int64_t bytes, void** address, ArrowmindWords* words) {
  return answer(words, [&] { *address = device->device.allocate_pinned(bytes); });
}

void release_pinned(ArrowmindDevice* device, void* address) {
  device->device.release_pinned(address);
}

int32_t describe_kernel(ArrowmindDevice*, uint64_t kernel, ArrowmindKernelInfo* info, ArrowmindWords*) {
  const Shader& shader = *reinterpret_cast<const Kernel*>(kernel)->shader;
  info->group[0] = shader.threads;
  info->group[1] = info->group[2] = 1;
  for (int i = 0; i < 3; ++i) info->tile[i] = shader.tile[i];
  info->shared_bytes = 0;  // shaders say themselves what they share
  return ARROWMIND_OK;
}

constexpr ArrowmindBackend kVulkan = {
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
    .register_host = nullptr,  // memory of others is copied by way of staging
    .unregister_host = nullptr,
    .describe_kernel = describe_kernel,
    .adopt_stream = nullptr,
    .adopt_memory = nullptr,
    .make_graph = nullptr,
    .destroy_graph = nullptr,
    .run_graph = nullptr,
};

}  // namespace
}  // namespace arrowmind::vulkan

extern "C" __attribute__((visibility("default"))) const ArrowmindBackend* arrowmind_device_backend(
    uint32_t abi) {
  return abi == ARROWMIND_DEVICE_ABI ? &arrowmind::vulkan::kVulkan : nullptr;
}
