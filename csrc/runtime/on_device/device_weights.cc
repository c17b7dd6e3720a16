#include "runtime/on_device/device_weights.h"

#include <algorithm>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

// Constants from this size on have a buffer of their own.
constexpr int64_t kLarge = int64_t{256} << 10;
constexpr int64_t kShared = int64_t{1} << 20;
// Kernels read whole words, and some of them whole rows of 64 bytes.
constexpr int64_t kPadding = 64;

}  // namespace

DeviceWeights::DeviceWeights(std::shared_ptr<device::Device> device)
    : device_(std::move(device)),
      alignment_(std::max<int64_t>(256, device_->info().alignment_bytes)),
      upload_(device_) {}

device::Slice DeviceWeights::place(int64_t bytes) {
  const int64_t padded = round_up(bytes, kPadding);
  if (padded >= kLarge) return {&buffers_.emplace_back(device_->allocate(padded)), 0};
  if (shared_ == nullptr || used_ + padded > shared_->bytes()) {
    shared_ = &buffers_.emplace_back(device_->allocate(kShared));
    used_ = 0;
  }
  const device::Slice slice = {shared_, used_};
  used_ = round_up(used_ + padded, alignment_);
  return slice;
}

device::Slice DeviceWeights::put(const Constant& constant) {
  const std::lock_guard lock(mutex_);
  Key key{constant.others, constant.bytes};
  key.first.push_back(constant.data);
  if (const auto found = placed_.find(key); found != placed_.end()) return found->second;
  const device::Slice slice = place(constant.all_bytes());
  constant.each([&](const void* data, int64_t offset) {
    upload_.copy({slice.buffer, slice.offset + offset}, data, constant.bytes);
  });
  bytes_ += constant.all_bytes();
  return placed_.emplace(std::move(key), slice).first->second;
}

void DeviceWeights::finish() {
  const std::lock_guard lock(mutex_);
  upload_.finish();
}

void DeviceWeights::stop() noexcept {
  const std::lock_guard lock(mutex_);
  upload_.stop();
}

int64_t DeviceWeights::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

UploadCounters DeviceWeights::uploaded() const {
  const std::lock_guard lock(mutex_);
  return upload_.counters();
}

}  // namespace arrowmind::runtime
