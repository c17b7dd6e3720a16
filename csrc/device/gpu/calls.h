#pragma once

// What the parts of the back end of CUDA and HIP share: handles, calls of the driver, and the functions of
// the table of device/backend.h.

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>

#include "device/backend.h"
#include "device/gpu/driver.h"
#include "device/gpu/kernel_rows.h"

// What the handles of the C interface stand for.
struct ArrowmindDevice {
  ArrowmindDevice(const arrowmind::device::gpu::Driver* opened, int own_number, void* own_context,
                  int64_t bytes)
      : driver(opened), number(own_number), context(own_context), total_bytes(bytes) {}

  const arrowmind::device::gpu::Driver* driver;
  int number;  // as the driver has it
  void* context;
  int64_t total_bytes;
  bool multiplies_bf16 = false;           // has instructions for products of small matrices in bfloat16
  bool multiplies_by_warpgroups = false;  // and those of sm_90a
  std::atomic<bool> is_lost = false;
  std::mutex mutex;  // of what follows
  std::array<void*, arrowmind::device::gpu::kMostImages> modules = {};
  std::array<void*, arrowmind::device::gpu::kMostKernels> functions = {};  // by number of their row
};

struct ArrowmindStream {
  ArrowmindDevice* device;
  void* handle;
  bool is_foreign = false;
};

struct ArrowmindGraph {
  ArrowmindDevice* device;
  void* ready;
};

struct ArrowmindEvent {
  ArrowmindDevice* device;
  void* handle;
  std::atomic<bool> is_recorded = false;
};

namespace arrowmind::device::gpu {

constexpr uint32_t kMostPlaces = 16;

inline int32_t say(ArrowmindWords* words, int32_t status, const char* text) {
  std::snprintf(words->text, sizeof words->text, "%s", text);
  return status;
}

inline int32_t fail(const Driver& driver, int failure, ArrowmindWords* words) {
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

inline uint64_t address(ArrowmindPlace place) {
  return place.memory + static_cast<uint64_t>(place.offset);
}

// Memory, of the device and of the host.
int32_t memory_info(ArrowmindDevice* device, int64_t* free_bytes, int64_t* total_bytes,
                    ArrowmindWords* words);
int32_t allocate(ArrowmindDevice* device, int64_t bytes, uint64_t* memory, ArrowmindWords* words);
void release(ArrowmindDevice* device, uint64_t memory);
int32_t allocate_pinned(ArrowmindDevice* device, int64_t bytes, void** memory, ArrowmindWords* words);
void release_pinned(ArrowmindDevice* device, void* memory);
int32_t register_host(ArrowmindDevice* device, const void* memory, int64_t bytes, ArrowmindWords* words);
void unregister_host(ArrowmindDevice* device, const void* memory);
int32_t adopt_memory(ArrowmindDevice*, uint64_t memory_address, int64_t, uint64_t* memory, ArrowmindWords*);

// Streams, copies, events.
int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words);
void destroy_stream(ArrowmindStream* stream);
int32_t synchronise(ArrowmindStream* stream, ArrowmindWords* words);
int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords* words);
int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                 ArrowmindWords* words);
int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords* words);
int32_t create_event(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words);
void destroy_event(ArrowmindEvent* event);
int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words);
int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words);
int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words);
int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words);
int32_t adopt_stream(ArrowmindDevice* device, uint64_t handle, ArrowmindStream** stream,
                     ArrowmindWords* words);

// Kernels.
int32_t find_kernel(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words);
int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words);
int32_t describe_kernel(ArrowmindDevice* device, uint64_t kernel, ArrowmindKernelInfo* info, ArrowmindWords*);

// A launch as the driver takes it: the function, the hardware's grid, and the address of each argument. It is
// valid while `launch` is, and stays where it is.
struct DriverLaunch {
  DriverLaunch() = default;
  DriverLaunch(const DriverLaunch&) = delete;
  DriverLaunch& operator=(const DriverLaunch&) = delete;
  // Why it cannot be launched so; null when it can.
  const char* fill(const ArrowmindDevice& device, const ArrowmindLaunch& launch);

  void* function;
  unsigned grid[3];
  std::array<uint64_t, kMostPlaces> addresses;
  std::array<void*, kMostPlaces + 1> arguments;
};

// Graphs.
int32_t make_graph(ArrowmindDevice* device, const ArrowmindLaunch* launches, uint32_t count,
                   ArrowmindGraph** graph, ArrowmindWords* words);
void destroy_graph(ArrowmindGraph* graph);
int32_t run_graph(ArrowmindStream* stream, ArrowmindGraph* graph, ArrowmindWords* words);

}  // namespace arrowmind::device::gpu
