#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/resources.h"

namespace arrowmind::runtime {

// Copies of host memory to a device, such as of a mapped file. Pieces go through a ring of pinned memory:
// while the device takes one, the next is read, from the disk where it must be. Devices that share the host's
// memory, and those without pinned memory, copy straight.
//
// Not safe from several threads at once.
class Upload {
 public:
  explicit Upload(std::shared_ptr<device::Device> device);

  // `from` stays as it is until finish(). Throws DeviceFailure.
  void copy(device::Slice to, const void* from, int64_t bytes);
  // Waits for all copies.
  void finish();
  // Likewise, whatever came of them.
  void stop() noexcept;

 private:
  // Pinned memory and the stream that copies out of it: once the stream is through, the memory is free.
  struct Lane {
    device::PinnedMemory memory;
    device::Stream stream;
  };

  bool open_lanes();
  void copy_piece(device::Slice to, const char* from, int64_t bytes);

  std::shared_ptr<device::Device> device_;
  bool is_direct_;  // no ring
  std::vector<Lane> lanes_;
  size_t next_ = 0;
  std::optional<device::Stream> straight_;
};

}  // namespace arrowmind::runtime
