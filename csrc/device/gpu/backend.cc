// The back end of CUDA and of HIP: device/backend.h over a table of the driver's functions. Linked with no
// toolkit and no driver.
#include "device/backend.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>

#include "device/gpu/driver.h"
#include "device/gpu/kernel_rows.h"

using arrowmind::device::gpu::Driver;
using arrowmind::device::gpu::kMostImages;
using arrowmind::device::gpu::kMostKernels;

// What the handles of the C interface stand for.
struct ArrowmindDevice {
  ArrowmindDevice(const Driver* opened, int own_number, void* own_context, int64_t bytes)
      : driver(opened), number(own_number), context(own_context), total_bytes(bytes) {}

  const Driver* driver;
  int number;  // as the driver has it
  void* context;
  int64_t total_bytes;
  std::atomic<bool> is_lost = false;
  std::mutex mutex;  // of what follows
  std::array<void*, kMostImages> modules = {};
  std::array<void*, kMostKernels> functions = {};  // by number of their row
};

struct ArrowmindStream {
  ArrowmindDevice* device;
  void* handle;
  bool is_foreign = false;
};

struct ArrowmindEvent {
  ArrowmindDevice* device;
  void* handle;
  std::atomic<bool> is_recorded = false;
};

namespace arrowmind::device::gpu {
namespace {

// Of the driver's attributes.
constexpr int kMajor = kIsHip ? 23 : 75, kMinor = kIsHip ? 61 : 76, kIntegrated = kIsHip ? 16 : 18;
constexpr unsigned kNonBlocking = 1, kReadOnly = 8;
constexpr int64_t kAlignment = 256;
constexpr uint32_t kMostThreads = 1024, kUsualThreads = 256;
constexpr uint32_t kMostPlaces = 16;

int32_t say(ArrowmindWords* words, int32_t status, const char* text) {
  std::snprintf(words->text, sizeof words->text, "%s", text);
  return status;
}

int32_t fail(const Driver& driver, int failure, ArrowmindWords* words) {
  return say(words, status_of(failure), words_of(driver, failure).c_str());
}

// A call of the driver for a device. One that lost the device is remembered: nothing is asked of it again.
template <typename Call>
int32_t ask(ArrowmindDevice* device, ArrowmindWords* words, Call call) {
  if (device->is_lost.load(std::memory_order_acquire)) {
    return say(words, ARROWMIND_LOST, "the device was lost by an earlier call");
  }
  int failure = device->driver->set_context(device->context);
  if (failure == kSuccess) failure = call(*device->driver);
  if (failure == kSuccess) return ARROWMIND_OK;
  const int32_t status = fail(*device->driver, failure, words);
  if (status == ARROWMIND_LOST) device->is_lost.store(true, std::memory_order_release);
  return status;
}

// What gives something back: whatever the driver answers, there is nobody to tell.
template <typename Call>
void give_back(ArrowmindDevice* device, Call call) {
  device->driver->set_context(device->context);
  call(*device->driver);
}

uint64_t address(ArrowmindPlace place) {
  return place.memory + static_cast<uint64_t>(place.offset);
}

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
  int number = 0;
  size_t bytes = 0;
  void* context = nullptr;
  int failure = driver.device_get(&number, index);
  if (failure == kSuccess) failure = driver.device_memory(&bytes, number);
  if (failure == kSuccess) failure = driver.retain_context(&context, number);
  if (failure != kSuccess) return fail(driver, failure, words);
  auto* made = new (std::nothrow) ArrowmindDevice(&driver, number, context, static_cast<int64_t>(bytes));
  if (made == nullptr) {
    driver.release_context(number);
    return ARROWMIND_OUT_OF_MEMORY;
  }
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

int32_t memory_info(ArrowmindDevice* device, int64_t* free_bytes, int64_t* total_bytes,
                    ArrowmindWords* words) {
  size_t free = 0, total = 0;
  const int32_t status =
      ask(device, words, [&](const Driver& driver) { return driver.memory_info(&free, &total); });
  *free_bytes = static_cast<int64_t>(free);
  *total_bytes = static_cast<int64_t>(total);
  return status;
}

int32_t allocate(ArrowmindDevice* device, int64_t bytes, uint64_t* memory, ArrowmindWords* words) {
  if (bytes > device->total_bytes) {
    return say(words, ARROWMIND_OUT_OF_MEMORY, "more than the device has");
  }
  return ask(device, words,
             [&](const Driver& driver) { return driver.allocate(memory, static_cast<size_t>(bytes)); });
}

void release(ArrowmindDevice* device, uint64_t memory) {
  give_back(device, [&](const Driver& driver) {
    driver.synchronise_context();
    return driver.release(memory);
  });
}

int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words) {
  void* handle = nullptr;
  const int32_t status =
      ask(device, words, [&](const Driver& driver) { return driver.create_stream(&handle, kNonBlocking); });
  if (status != ARROWMIND_OK) return status;
  *stream = new (std::nothrow) ArrowmindStream{.device = device, .handle = handle};
  if (*stream != nullptr) return ARROWMIND_OK;
  give_back(device, [&](const Driver& driver) { driver.destroy_stream(handle); });
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_stream(ArrowmindStream* stream) {
  if (stream->is_foreign) return delete stream;
  give_back(stream->device, [&](const Driver& driver) {
    driver.synchronise(stream->handle);
    driver.destroy_stream(stream->handle);
  });
  delete stream;
}

int32_t synchronise(ArrowmindStream* stream, ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) { return driver.synchronise(stream->handle); });
}

int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) {
    return driver.copy_in(address(to), from, static_cast<size_t>(bytes), stream->handle);
  });
}

int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                 ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) {
    return driver.copy_out(to, address(from), static_cast<size_t>(bytes), stream->handle);
  });
}

int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) {
    return driver.copy_within(address(to), address(from), static_cast<size_t>(bytes), stream->handle);
  });
}

int32_t create_event(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words) {
  void* handle = nullptr;
  const int32_t status =
      ask(device, words, [&](const Driver& driver) { return driver.create_event(&handle, 0); });
  if (status != ARROWMIND_OK) return status;
  *event = new (std::nothrow) ArrowmindEvent{.device = device, .handle = handle};
  if (*event != nullptr) return ARROWMIND_OK;
  give_back(device, [&](const Driver& driver) { driver.destroy_event(handle); });
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_event(ArrowmindEvent* event) {
  give_back(event->device, [&](const Driver& driver) { driver.destroy_event(event->handle); });
  delete event;
}

int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words) {
  const int32_t status = ask(event->device, words, [&](const Driver& driver) {
    return driver.record(event->handle, stream->handle);
  });
  if (status == ARROWMIND_OK) event->is_recorded = true;
  return status;
}

int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words) {
  return ask(stream->device, words,
             [&](const Driver& driver) { return driver.wait(stream->handle, event->handle, 0); });
}

int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words) {
  return ask(event->device, words, [&](const Driver& driver) {
    const int answer = driver.query(event->handle);
    *reached = answer == kSuccess ? 1 : 0;
    return answer == kNotReady ? int{kSuccess} : answer;
  });
}

int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words) {
  for (ArrowmindEvent* event : {from, to}) {
    if (!event->is_recorded) return say(words, ARROWMIND_FAILED, "an event was never recorded");
  }
  float milliseconds = 0;
  const int32_t status = ask(from->device, words, [&](const Driver& driver) {
    return driver.elapsed(&milliseconds, from->handle, to->handle);
  });
  *nanoseconds = static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  return status;
}

// The code of a source, loaded when the first of its kernels is asked for. The device's lock is held.
int load_image(ArrowmindDevice* device, int index, void** module) {
  void*& loaded = device->modules[static_cast<size_t>(index)];
  if (loaded == nullptr) {
    const int failure = device->driver->load_module(&loaded, image(index).code);
    if (failure != kSuccess) {
      loaded = nullptr;
      return failure;
    }
  }
  *module = loaded;
  return kSuccess;
}

// A kernel's handle: its function, whose place among those of the device is the number of its row.
int32_t find_kernel(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words) {
  const int number = find_row(name);
  if (number < 0) return say(words, ARROWMIND_NOT_SUPPORTED, "no kernel of this name");
  char symbol[96];
  std::snprintf(symbol, sizeof symbol, "arrowmind_%s", name);
  void*& function = device->functions[static_cast<size_t>(number)];
  const int32_t status = ask(device, words, [&](const Driver& driver) -> int {
    const std::lock_guard lock(device->mutex);
    if (function != nullptr) return kSuccess;
    void* module = nullptr;
    const int failure = load_image(device, row(number).image, &module);
    return failure == kSuccess ? driver.find_function(&function, module, symbol) : failure;
  });
  if (status == ARROWMIND_OK) *kernel = reinterpret_cast<uint64_t>(&function);
  return status;
}

const KernelRow& row_of(const ArrowmindDevice& device, uint64_t kernel) {
  return row(static_cast<int>(reinterpret_cast<void* const*>(kernel) - device.functions.data()));
}

// Why a kernel cannot be launched so; null when it can.
const char* refusal_of(const ArrowmindLaunch& launch, const KernelRow& row) {
  if (launch.place_count != row.places || launch.parameter_bytes != row.parameter_bytes) {
    return "another number of places or bytes of parameters";
  }
  const uint32_t threads = launch.group[0];
  const bool fits = row.group == 0 ? threads >= 1 && threads <= kMostThreads : threads == row.group;
  if (!fits || launch.group[1] != 1 || launch.group[2] != 1)
    return "another group than the kernel is made for";
  return nullptr;
}

int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words) {
  const KernelRow& row = row_of(*stream->device, launch->kernel);
  if (const char* refusal = refusal_of(*launch, row)) return say(words, ARROWMIND_LAUNCH_FAILED, refusal);
  std::array<uint64_t, kMostPlaces> addresses;
  std::array<void*, kMostPlaces + 1> arguments;
  for (uint32_t i = 0; i < launch->place_count; ++i) {
    addresses[i] = address(launch->places[i]);
    arguments[i] = &addresses[i];
  }
  arguments[launch->place_count] = const_cast<void*>(launch->parameters);
  void* function = *reinterpret_cast<void* const*>(launch->kernel);
  // Only the first direction has room for more than 65535 groups: rows run along it, but where there are
  // none.
  const bool has_rows = row.group != 0;
  const uint32_t x = launch->grid[has_rows ? 1 : 0], y = launch->grid[has_rows ? 0 : 1];
  const int32_t status = ask(stream->device, words, [&](const Driver& driver) {
    return driver.launch(function, x, y, launch->grid[2], launch->group[0], 1, 1, launch->shared_bytes,
                         stream->handle, arguments.data(), nullptr);
  });
  return status == ARROWMIND_FAILED ? int32_t{ARROWMIND_LAUNCH_FAILED} : status;
}

int32_t allocate_pinned(ArrowmindDevice* device, int64_t bytes, void** memory, ArrowmindWords* words) {
  return ask(device, words, [&](const Driver& driver) {
    return driver.allocate_pinned(memory, static_cast<size_t>(bytes), 0);
  });
}

void release_pinned(ArrowmindDevice* device, void* memory) {
  give_back(device, [&](const Driver& driver) {
    driver.synchronise_context();
    driver.release_pinned(memory);
  });
}

int32_t register_host(ArrowmindDevice* device, const void* memory, int64_t bytes, ArrowmindWords* words) {
  return ask(device, words, [&](const Driver& driver) {
    void* address = const_cast<void*>(memory);
    const auto size = static_cast<size_t>(bytes);
    const int failure = driver.register_host(address, size, 0);
    // Pages that may not be written, as those of mapped files, have to be named so.
    return failure == kInvalidValue ? driver.register_host(address, size, kReadOnly) : failure;
  });
}

void unregister_host(ArrowmindDevice* device, const void* memory) {
  give_back(device, [&](const Driver& driver) {
    driver.synchronise_context();
    driver.unregister_host(const_cast<void*>(memory));
  });
}

int32_t describe_kernel(ArrowmindDevice* device, uint64_t kernel, ArrowmindKernelInfo* info,
                        ArrowmindWords*) {
  const KernelRow& row = row_of(*device, kernel);
  info->group[0] = row.group == 0 ? kUsualThreads : row.group;
  info->group[1] = info->group[2] = 1;
  for (int i = 0; i < 3; ++i) info->tile[i] = row.tile[i];
  info->shared_bytes = 0;
  return ARROWMIND_OK;
}

int32_t adopt_stream(ArrowmindDevice* device, uint64_t handle, ArrowmindStream** stream,
                     ArrowmindWords* words) {
  const int32_t status = ask(device, words, [](const Driver&) { return int{kSuccess}; });
  if (status != ARROWMIND_OK) return status;
  *stream = new (std::nothrow)
      ArrowmindStream{.device = device, .handle = reinterpret_cast<void*>(handle), .is_foreign = true};
  return *stream == nullptr ? ARROWMIND_OUT_OF_MEMORY : ARROWMIND_OK;
}

// All memory of a context has addresses of one space, whoever asked for it.
int32_t adopt_memory(ArrowmindDevice*, uint64_t memory_address, int64_t, uint64_t* memory, ArrowmindWords*) {
  *memory = memory_address;
  return ARROWMIND_OK;
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
};

}  // namespace
}  // namespace arrowmind::device::gpu

extern "C" __attribute__((visibility("default"))) const ArrowmindBackend* arrowmind_device_backend(
    uint32_t abi) {
  return abi == ARROWMIND_DEVICE_ABI ? &arrowmind::device::gpu::kGpu : nullptr;
}
