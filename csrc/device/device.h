#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "device/backend.h"
#include "device/failure.h"

namespace arrowmind::device {

class Buffer;
class Event;
class Graph;
class LaunchList;
class PinnedMemory;
class Registration;
class Stream;

struct DeviceInfo {
  std::string name;  // of the product
  std::string driver;
  std::string architecture;
  int64_t total_bytes = 0;
  int64_t alignment_bytes = 1;
  int64_t most_place_bytes = 0;  // that a kernel takes at a place; 0: no bound
  bool shares_host_memory = false;
  bool is_software = false;
};

struct MemoryInfo {
  int64_t free_bytes = 0;
  int64_t total_bytes = 0;
};

// Part of a buffer.
struct Slice {
  const Buffer* buffer = nullptr;
  int64_t offset = 0;  // bytes
};

// What a device was asked for; made into words only where it fails.
struct Action {
  const char* verb;
  int64_t bytes = -1;  // below 0: not about bytes
  const char* object = "";
};

struct Grid {
  uint32_t groups[3] = {1, 1, 1};
  uint32_t threads[3] = {1, 1, 1};  // of a group
  uint32_t shared_bytes = 0;
};

// How a kernel wants to be launched: threads of a group, and items of work that a group serves.
struct KernelShape {
  uint32_t threads[3] = {1, 1, 1};
  uint32_t tile[3] = {1, 1, 1};
  uint32_t shared_bytes = 0;
};

// An open device. What it gives out holds it, so it is closed last, and nothing of it can leak. Safe from
// several threads. Every function but the destructors throws DeviceFailure; once a device is lost, at once.
class Device : public std::enable_shared_from_this<Device> {
 public:
  // `name` is what messages call it, such as cuda:1. The back end outlives the process's devices.
  static std::shared_ptr<Device> open(const ArrowmindBackend& backend, int32_t index, std::string name);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const { return name_; }
  const DeviceInfo& info() const { return info_; }
  bool is_lost() const { return lost_.load(std::memory_order_acquire); }

  MemoryInfo memory();
  Buffer allocate(int64_t bytes);
  // At most so many bytes of buffers at a time: more is answered like memory that is not there. 0: no bound.
  void limit(int64_t bytes) { limit_.store(bytes); }
  int64_t limit() const { return limit_.load(); }
  int64_t taken() const { return taken_.load(); }  // by buffers
  Stream stream();
  Event event();
  // Host memory that copies reach directly. Throws with kNotSupported where the device cannot; plain memory
  // serves there.
  PinnedMemory pinned(int64_t bytes);
  // Makes memory of others, such as a mapped file, such memory for as long as the result lives.
  Registration register_host(const void* address, int64_t bytes);
  // Memory and streams of others who use the device by the same driver: they keep them for as long as the
  // result lives, and get them back as they are. Throws with kNotSupported where the back end cannot.
  Buffer adopt(uint64_t address, int64_t bytes);
  Stream adopt_stream(uint64_t handle);
  // Whether graphs can be made at all.
  bool has_graphs() const { return backend_.make_graph != nullptr; }
  // Launches made ready to run as one; at least one of this device. Throws with kNotSupported where the back
  // end, or the driver, cannot.
  Graph graph(const LaunchList& launches);
  // For launches; valid as long as the device. Throws with kNotSupported where the back end has no such
  // kernel.
  uint64_t kernel(const std::string& name);
  // Throws with kNotSupported where the back end has no kernels for models.
  KernelShape kernel_shape(uint64_t kernel, const std::string& name);

  // For what it gives out: calls the back end and throws what it answers.
  template <typename Call>
  void call(const Action& action, Call&& call) {
    if (is_lost()) refuse(Failure::kLost, action, "by an earlier call");
    ArrowmindWords words = {};
    int32_t status = ARROWMIND_FAILED;
    try {
      status = call(&words);
    } catch (...) {  // against the rules of back ends
      refuse(Failure::kFailed, action, "the back end threw an exception");
    }
    if (status != ARROWMIND_OK) answer(status, action, words);
  }
  const ArrowmindBackend& backend() const { return backend_; }
  ArrowmindDevice* handle() const { return handle_; }

 private:
  Device(const ArrowmindBackend& backend, std::string name) : backend_(backend), name_(std::move(name)) {}
  [[noreturn]] void refuse(Failure failure, const Action& action, const std::string& words) const;
  [[noreturn]] void answer(int32_t status, const Action& action, const ArrowmindWords& words);

  const ArrowmindBackend& backend_;
  std::string name_;
  DeviceInfo info_;
  ArrowmindDevice* handle_ = nullptr;
  std::atomic<bool> lost_ = false;
  std::atomic<int64_t> taken_ = 0, limit_ = 0;
  friend class Taken;
};

// What a back end says of a device, with texts that are safe to print whatever it wrote.
DeviceInfo describe(const ArrowmindBackend& backend, int32_t index, const std::string& name);

// Text of a back end: its first line up to NUL or the end, without what a terminal would act upon.
std::string plain_text(const char* text, size_t capacity);

}  // namespace arrowmind::device
