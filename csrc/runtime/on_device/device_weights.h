#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "device/resources.h"
#include "runtime/on_device/lowering.h"
#include "runtime/on_device/upload.h"

namespace arrowmind::runtime {

// What plans of one model read on one device: each constant is there once, however many plans and operators
// read it. Safe from several threads.
class DeviceWeights {
 public:
  explicit DeviceWeights(std::shared_ptr<device::Device> device);

  const std::shared_ptr<device::Device>& device() const { return device_; }
  // Where a constant lies; it is copied there when it is first asked for. Whoever gives it keeps it as it is
  // for as long as this lives. Throws DeviceFailure.
  device::Slice put(const Constant& constant);
  // Waits for the copies.
  void finish();
  // The same where a copy failed: none is under way afterwards.
  void stop() noexcept;
  int64_t bytes() const;
  UploadCounters uploaded() const;

 private:
  device::Slice place(int64_t bytes);

  const std::shared_ptr<device::Device> device_;
  const int64_t alignment_;
  mutable std::mutex mutex_;
  std::deque<device::Buffer> buffers_;  // addresses of its items stay
  device::Buffer* shared_ = nullptr;    // that small constants share
  int64_t used_ = 0;                    // of the shared one
  int64_t bytes_ = 0;
  using Key = std::pair<std::vector<const void*>, int64_t>;  // where they are, bytes of each
  std::map<Key, device::Slice> placed_;
  Upload upload_;  // last: it waits for its work before the buffers go
};

}  // namespace arrowmind::runtime
