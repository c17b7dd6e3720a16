#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "device/resources.h"

namespace arrowmind::runtime {

// Bytes of the host, and where they lie in what is copied together.
struct Part {
  const void* data = nullptr;
  int64_t bytes = 0, offset = 0;
};

// Copies of host memory to a device beside the work of other streams. What is copied together goes in pieces
// through a ring of pinned memory, each piece of it on a stream of its own: while one is on the bus the next
// is gathered. Devices that share the host's memory, and those without pinned memory, copy straight.
//
// Not safe from several threads at once.
class BackgroundCopies {
 public:
  explicit BackgroundCopies(std::shared_ptr<device::Device> device);

  // Copies from here on begin once the event is reached.
  void after(device::Event& event);
  // Parts in the order of their offsets to `first` and what follows it. They may change once let_go() was
  // called. `ends`, asked before each piece: leave it at that. Whether all of it is on its way. Throws
  // DeviceFailure.
  bool copy(const device::Buffer& to, int64_t first, std::span<const Part> parts,
            const std::function<bool()>& ends = {});
  // What the reader does from here on begins once all of this is copied.
  void before(device::Stream& reader);
  void let_go();
  // Waits for all copies. Throws DeviceFailure.
  void finish();
  // Waits for all copies, whatever came of them.
  void stop() noexcept;

 private:
  struct Lane {
    std::optional<device::PinnedMemory> memory;  // none: straight
    device::Event done;
    bool is_marked = false;
    device::Stream stream;  // last: it waits for its work before the memory goes
  };

  void open();
  bool copy_straight(const device::Buffer& to, int64_t first, std::span<const Part> parts,
                     const std::function<bool()>& ends);
  void mark();

  std::shared_ptr<device::Device> device_;
  bool is_direct_;
  std::vector<Lane> lanes_;
  size_t next_ = 0;
};

}  // namespace arrowmind::runtime
