// Memory of the back end of CUDA and HIP.
#include "device/gpu/calls.h"

namespace arrowmind::device::gpu {
namespace {

constexpr unsigned kReadOnly = 8;

}  // namespace

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

// All memory of a context has addresses of one space, whoever asked for it.
int32_t adopt_memory(ArrowmindDevice*, uint64_t memory_address, int64_t, uint64_t* memory, ArrowmindWords*) {
  *memory = memory_address;
  return ARROWMIND_OK;
}

}  // namespace arrowmind::device::gpu
