#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "residency/forecast.h"
#include "runtime/experts.h"
#include "runtime/on_device/background_copies.h"

namespace arrowmind::runtime {

struct ExpertCacheOptions {
  int64_t room_bytes = 0;  // of the device, at most; 0: no cache
  // Share of the last rounds that must have used an expert before it is brought; the newest weighs a tenth.
  double threshold = 1.0;
};

struct ExpertCacheCounters {
  int64_t hits = 0, misses = 0;        // of experts that forwards asked for
  int64_t brought = 0, evicted = 0;    // experts
  int64_t brought_bytes = 0;           // since it was made
  int64_t held_bytes = 0, failed = 0;  // now; copies that the device failed
};

// Single experts of layers that stay with the CPU, on the device: those that routes ask for again and again
// are copied there by a thread of its own, in the place of such as are asked for less. Nobody waits for a
// copy: an expert that is not there yet is computed where it lies. Those that come and go beneath the CPU are
// copied when a forward has brought them into memory anyway, lent by it. Safe from several threads.
class ExpertCache {
 public:
  struct Layer {
    std::vector<std::vector<Part>> experts;  // in order, each as the parts of what is copied
    ExpertSource* source = nullptr;  // that lends them, where they come and go; lives longer than this
  };

  ExpertCache(std::shared_ptr<device::Device> device, std::vector<Layer> layers,
              const ExpertCacheOptions& options);
  ~ExpertCache();
  ExpertCache(const ExpertCache&) = delete;
  ExpertCache& operator=(const ExpertCache&) = delete;

  // Counts the uses of one round. buffers[i] is where expert ids[i] lies, or null; what is given stays until
  // it is given back.
  void take(int64_t layer, std::span<const int32_t> ids, std::vector<const device::Buffer*>& buffers);
  void give_back(int64_t layer, std::span<const int32_t> ids, std::span<const device::Buffer* const> buffers);
  // Experts of a layer are in memory for now: where they come and go, this is when one may be copied.
  void offer(int64_t layer, std::span<const int32_t> ids);
  // Memory is short: half of what is there goes, and does not come back.
  void give_way();
  // Waits until nothing is on its way; for tests.
  void settle();
  ExpertCacheCounters counters() const;

 private:
  struct Item {
    std::vector<Part> parts;
    int64_t bytes = 0;
    ExpertSource* source = nullptr;
    int32_t id = 0;  // in its layer
    std::optional<device::Buffer> memory;
    bool is_there = false;
    int users = 0;
  };
  struct Wanted {
    int32_t number = 0;
    Loan loan;  // of one that comes and goes
  };

  int32_t number_of(int64_t layer, int32_t id) const { return firsts_[static_cast<size_t>(layer)] + id; }
  Item& item(int32_t number) { return items_[static_cast<size_t>(number)]; }
  void consider(int32_t number);
  bool is_worth_bringing(int32_t number) const;
  int32_t least_wanted() const;
  device::Buffer evict(int32_t number);
  std::optional<device::Buffer> make_room(int32_t number);
  void work();
  void bring(BackgroundCopies& copies, std::unique_lock<std::mutex>& lock, Wanted& wanted);
  static bool copy(BackgroundCopies& copies, const device::Buffer& to, const Item& one, Loan& loan);

  const std::shared_ptr<device::Device> device_;
  ExpertCacheOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;  // item 0 is no expert: it lets rounds pass
  std::vector<int32_t> firsts_;
  std::unique_ptr<residency::Forecast> forecast_;
  std::optional<Wanted> wanted_;  // is brought next, or now
  bool ends_ = false, is_full_ = false;
  ExpertCacheCounters counters_;
  std::thread thread_;
};

}  // namespace arrowmind::runtime
