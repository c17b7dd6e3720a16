#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/on_device/background_copies.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {

// Weights of a plan's blocks that pass through two places on a device: while one block computes, the next one
// is on the bus. For forwards of many rows, of which each meets every weight.
class PassingWeights {
 public:
  // A block begins at each border of the lowered plan. Throws DeviceFailure where there is no room for two.
  PassingWeights(const std::shared_ptr<device::Device>& device, const Lowering& lowering);

  // One forward at a time has the two places.
  std::unique_lock<std::mutex> turn() { return std::unique_lock(mutex_); }
  size_t blocks() const { return blocks_.size(); }
  // Where a constant of a block lies while that block is there.
  device::Slice slice(size_t block, const Constant& constant) const;

  // With the turn, for each block in order. Sends it into the place of the last but one, once that is done:
  // returns when the last piece is on the bus.
  void send(size_t block);
  // What the stream does from here on begins once the block is there; and may read it no more behind this.
  void expect(size_t block, device::Stream& stream);
  void done(size_t block, device::Stream& stream);
  // After a failure: nothing is under way any more, and nothing is there.
  void stop() noexcept;

  int64_t sent_bytes() const { return sent_; }  // since it was made

 private:
  using Key = std::pair<const void*, int64_t>;
  struct Block {
    std::vector<Part> parts;
    std::map<Key, int64_t> offsets;
    int64_t bytes = 0;
    std::shared_ptr<residency::Residency> residency;  // that its weights come from; or null
    std::vector<int32_t> needed, ahead;
  };
  struct Place {
    device::Buffer memory;
    device::Event done;
    int64_t block = -1;  // that is there, or on its way
  };

  void lay_out(const Lowering& lowering, int64_t alignment);

  std::mutex mutex_;
  std::vector<Block> blocks_;
  std::vector<Place> places_;
  std::atomic<int64_t> sent_ = 0;
  BackgroundCopies copies_;  // last: it waits for its work before the memory goes
};

}  // namespace arrowmind::runtime
