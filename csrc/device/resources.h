#pragma once

// What a device gives out. Each is given back by its destructor, which cannot fail, and can be moved but not
// copied.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "device/device.h"

namespace arrowmind::device {

// A handle of a back end and the device it belongs to; Release gives it back.
template <typename Handle, void (*Release)(Device&, Handle)>
class Resource {
 public:
  Resource(std::shared_ptr<Device> device, Handle handle) : device_(std::move(device)), handle_(handle) {}
  ~Resource() { reset(); }
  Resource(Resource&& other) noexcept
      : device_(std::move(other.device_)), handle_(std::exchange(other.handle_, Handle{})) {}
  Resource& operator=(Resource&& other) noexcept {
    if (this == &other) return *this;
    reset();
    device_ = std::move(other.device_);
    handle_ = std::exchange(other.handle_, Handle{});
    return *this;
  }
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;

  const std::shared_ptr<Device>& device() const { return device_; }
  Handle handle() const { return handle_; }

 protected:
  void forget() { handle_ = Handle{}; }

 private:
  void reset() {
    if (handle_ != Handle{}) Release(*device_, std::exchange(handle_, Handle{}));
    device_.reset();
  }

  std::shared_ptr<Device> device_;
  Handle handle_;
};

inline void release_memory(Device& device, uint64_t memory) {
  device.backend().release(device.handle(), memory);
}
inline void release_stream(Device& device, ArrowmindStream* stream) {
  device.backend().destroy_stream(stream);
}
inline void release_event(Device& device, ArrowmindEvent* event) {
  device.backend().destroy_event(event);
}
inline void release_pinned(Device& device, void* address) {
  device.backend().release_pinned(device.handle(), address);
}
inline void release_registration(Device& device, const void* address) {
  device.backend().unregister_host(device.handle(), address);
}

// Bytes that count as taken for as long as this lives.
class Taken {
 public:
  Taken(std::shared_ptr<Device> device, int64_t bytes) : owner_(std::move(device)), bytes_(bytes) {
    owner_->taken_ += bytes_;
  }
  ~Taken() { reset(); }
  Taken(Taken&& other) noexcept : owner_(std::move(other.owner_)), bytes_(other.bytes_) {}
  Taken& operator=(Taken&& other) noexcept {
    if (this == &other) return *this;
    reset();
    owner_ = std::move(other.owner_);
    bytes_ = other.bytes_;
    return *this;
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  const std::shared_ptr<Device>& owner() const { return owner_; }
  int64_t bytes() const { return bytes_; }

 private:
  void reset() {
    if (owner_ != nullptr) owner_->taken_ -= bytes_;
    owner_.reset();
  }

  std::shared_ptr<Device> owner_;
  int64_t bytes_;
};

// Memory of a device. Going away waits for submitted work that may use it; that of others stays with them.
class Buffer : private Taken, public Resource<uint64_t, release_memory> {  // memory goes before its count
 public:
  Buffer(Taken taken, uint64_t memory)
      : Taken(std::move(taken)), Resource(owner(), memory), bytes_(Taken::bytes()) {}
  Buffer(std::shared_ptr<Device> device, uint64_t foreign, int64_t bytes)  // of others
      : Taken(device, 0), Resource(std::move(device), foreign), bytes_(bytes), is_foreign_(true) {}
  ~Buffer() { leave(); }
  Buffer(Buffer&& other) noexcept = default;
  Buffer& operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    leave();
    bytes_ = other.bytes_;
    is_foreign_ = other.is_foreign_;
    Resource::operator=(std::move(other));  // memory first, here too
    Taken::operator=(std::move(other));
    return *this;
  }
  int64_t bytes() const { return bytes_; }

 private:
  void leave() {
    if (is_foreign_) forget();
  }

  int64_t bytes_;
  bool is_foreign_ = false;
};

class PinnedMemory : public Resource<void*, release_pinned> {
 public:
  PinnedMemory(std::shared_ptr<Device> device, void* address, int64_t bytes)
      : Resource(std::move(device), address), bytes_(bytes) {}
  void* address() const { return handle(); }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_;
};

class Registration : public Resource<const void*, release_registration> {
 public:
  using Resource::Resource;
};

// A point in the work of a stream.
class Event : public Resource<ArrowmindEvent*, release_event> {
 public:
  using Resource::Resource;
  bool is_reached();
  // Device time until `later`; both were reached, else DeviceFailure.
  int64_t nanoseconds_until(Event& later);
};

// What every device takes at a launch; push constants of Vulkan have 128 bytes at least.
constexpr size_t kMostSlices = 16;
constexpr size_t kMostParameterBytes = 128;

// Where a slice lies. Throws Error(kInvalidArgument) for bytes that are not in the buffer, or a buffer of
// another device.
ArrowmindPlace place_in(const Device& device, Slice slice, int64_t bytes, const char* action);
// A launch without its places and parameters, of so many. Throws Error(kInvalidArgument) for too many.
ArrowmindLaunch launch_of(const Device& device, uint64_t kernel, const Grid& grid, size_t slices,
                          size_t parameter_bytes);

// Work in order. Each function returns once the work is submitted. Host memory given stays valid and
// unchanged until the stream is synchronised or an event after it is reached; declared before the stream, it
// does whatever is thrown, as a stream that goes away waits. Slices are checked: Error(kInvalidArgument) for
// bytes that are not in the buffer, or things of another device.
class Stream : public Resource<ArrowmindStream*, release_stream> {
 public:
  using Resource::Resource;
  void copy_in(Slice to, const void* from, int64_t bytes);
  void copy_out(void* to, Slice from, int64_t bytes);
  void copy_within(Slice to, Slice from, int64_t bytes);  // ranges of one buffer must not overlap
  void record(Event& event);
  void wait(Event& event);
  void launch(uint64_t kernel, const Grid& grid, std::span<const Slice> slices,
              std::span<const std::byte> parameters);
  // All memory that its launches name is there, and it is not under way elsewhere.
  void run(const Graph& graph);
  void synchronise();

 private:
  ArrowmindPlace place(Slice slice, int64_t bytes, const char* action) const {
    return place_in(*device(), slice, bytes, action);
  }
  void expect_own(const Device* other, const char* what) const;
};

}  // namespace arrowmind::device
