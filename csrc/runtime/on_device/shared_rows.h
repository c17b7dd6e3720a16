#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "base/aligned_buffer.h"
#include "device/resources.h"

namespace arrowmind::runtime {

// Rows of float32 where they were computed, in memory of a device or of the host, for others of the process
// to read and write. The memory stays until the last who holds this lets go, and so does the device: what
// made them may be gone. Giving memory of a device back waits for all of its work, so a reader may let go
// while its own work is still under way.
class SharedRows {
 public:
  // What is there is undefined until it is written. Throws DeviceFailure; Error(kInvalidArgument) for sizes
  // that are none.
  static std::shared_ptr<SharedRows> on(const std::shared_ptr<device::Device>& device, int64_t rows,
                                        int64_t columns);
  static std::shared_ptr<SharedRows> here(int64_t rows, int64_t columns);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t bytes() const { return rows_ * columns_ * int64_t{sizeof(float)}; }
  // As its owner names it, such as cuda:0; cpu for memory of the host.
  std::string device_name() const;
  const device::Buffer* buffer() const { return std::get_if<device::Buffer>(&memory_); }  // null: of the host

  // How libraries name a device to each other: the numbers of DLPack and of Arrow's C Device interface.
  struct Address {
    void* data = nullptr;
    int32_t device_type = 0;
    int32_t device_id = 0;
  };
  // Throws Error(kInvalidArgument) for memory that has a handle, but no address (Vulkan, Metal).
  Address address() const;

  // Rows of their own: in the same place, or in memory of the host. Done when it returns.
  std::shared_ptr<SharedRows> copy() const;
  std::shared_ptr<SharedRows> copy_here() const;
  void copy_out(float* to) const;
  float* host() const { return host_; }  // null: of a device

 private:
  using Memory = std::variant<AlignedBuffer, device::Buffer>;
  SharedRows(Memory memory, int64_t rows, int64_t columns);

  Memory memory_;
  float* host_ = nullptr;  // of the host's
  int64_t rows_, columns_;
};

}  // namespace arrowmind::runtime
