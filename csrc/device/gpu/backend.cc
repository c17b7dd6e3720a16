// The back end of CUDA and of HIP: device/backend.h over a table of the driver's functions. Linked with no
// toolkit and no driver.
#include "device/backend.h"

#include <cstdio>
#include <new>

#include "device/gpu/calls.h"

namespace arrowmind::device::gpu {
namespace {

// Of the driver's attributes.
constexpr int kMajor = kIsHip ? 23 : 75, kMinor = kIsHip ? 61 : 76, kIntegrated = kIsHip ? 16 : 18;
constexpr int kFirstWithBf16 = 8;       // sm_80
constexpr int kOnlyWithWarpgroups = 9;  // sm_90: neither before nor after
constexpr int64_t kAlignment = 256;

int32_t probe(int32_t* count, ArrowmindWords* words) try {
  const Opened opened = open_driver();
  if (opened.driver == nullptr) return say(words, opened.answer, opened.words.c_str());
  int found = 0;
  const int failure = opened.driver->device_count(&found);
  if (failure == kNoDevice || (failure == kSuccess && found == 0)) {
    return say(words, ARROWMIND_NO_DEVICE, "the driver knows of none");
  }
  if (failure != kSuccess)
    return say(words, ARROWMIND_PROBE_FAILED, words_of(*opened.driver, failure).c_str());
  *count = found;
  return ARROWMIND_USABLE;
} catch (const std::bad_alloc&) {
  return ARROWMIND_PROBE_FAILED;
}

void put_version(const Driver& driver, ArrowmindDeviceInfo* info) {
  int version = 0;
  driver.version(&version);
  if (kIsHip) {
    std::snprintf(info->driver, sizeof info->driver, "HIP %d.%d", version / 10000000, version / 100000 % 100);
  } else {
    std::snprintf(info->driver, sizeof info->driver, "CUDA %d.%d", version / 1000, version % 1000 / 10);
  }
}

int32_t describe(int32_t index, ArrowmindDeviceInfo* info, ArrowmindWords* words) try {
  const Opened opened = open_driver();
  if (opened.driver == nullptr) return say(words, ARROWMIND_FAILED, opened.words.c_str());
  const Driver& driver = *opened.driver;
  int device = 0, major = 0, minor = 0, integrated = 0;
  size_t bytes = 0;
  int failure = driver.device_get(&device, index);
  if (failure == kSuccess) failure = driver.device_name(info->name, sizeof info->name, device);
  if (failure == kSuccess) failure = driver.device_memory(&bytes, device);
  if (failure == kSuccess) failure = driver.device_attribute(&major, kMajor, device);
  if (failure == kSuccess) failure = driver.device_attribute(&minor, kMinor, device);
  if (failure == kSuccess) failure = driver.device_attribute(&integrated, kIntegrated, device);
  if (failure != kSuccess) return fail(driver, failure, words);
  put_version(driver, info);
  std::snprintf(info->architecture, sizeof info->architecture, kIsHip ? "gfx %d.%d" : "sm_%d%d", major,
                minor);
  info->flags = integrated != 0 ? ARROWMIND_SHARES_HOST_MEMORY : 0;
  info->total_bytes = static_cast<int64_t>(bytes);
  info->alignment_bytes = kAlignment;
  return ARROWMIND_OK;
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

int32_t open(int32_t index, ArrowmindDevice** device, ArrowmindWords* words) try {
  const Opened opened = open_driver();
  if (opened.driver == nullptr) return say(words, ARROWMIND_FAILED, opened.words.c_str());
  const Driver& driver = *opened.driver;
  int number = 0, major = 0, minor = 0;
  size_t bytes = 0;
  void* context = nullptr;
  int failure = driver.device_get(&number, index);
  if (failure == kSuccess) failure = driver.device_memory(&bytes, number);
  if (failure == kSuccess) failure = driver.device_attribute(&major, kMajor, number);
  if (failure == kSuccess) failure = driver.device_attribute(&minor, kMinor, number);
  if (failure == kSuccess) failure = driver.retain_context(&context, number);
  if (failure != kSuccess) return fail(driver, failure, words);
  auto* made = new (std::nothrow) ArrowmindDevice(&driver, number, context, static_cast<int64_t>(bytes));
  if (made == nullptr) {
    driver.release_context(number);
    return ARROWMIND_OUT_OF_MEMORY;
  }
  made->multiplies_bf16 = !kIsHip && major >= kFirstWithBf16;
  made->multiplies_by_warpgroups = !kIsHip && major == kOnlyWithWarpgroups && minor == 0;
  *device = made;
  return ARROWMIND_OK;
} catch (const std::bad_alloc&) {
  return ARROWMIND_OUT_OF_MEMORY;
}

void close(ArrowmindDevice* device) {
  give_back(device, [&](const Driver& driver) {
    for (void* module : device->modules) {
      if (module != nullptr) driver.unload_module(module);
    }
  });
  device->driver->release_context(device->number);
  delete device;
}

constexpr ArrowmindBackend kGpu = {
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
    .adopt_stream = adopt_stream,
    .adopt_memory = adopt_memory,
    .make_graph = make_graph,
    .destroy_graph = destroy_graph,
    .run_graph = run_graph,
};

}  // namespace
}  // namespace arrowmind::device::gpu

extern "C" __attribute__((visibility("default"))) const ArrowmindBackend* arrowmind_device_backend(
    uint32_t abi) {
  return abi == ARROWMIND_DEVICE_ABI ? &arrowmind::device::gpu::kGpu : nullptr;
}
