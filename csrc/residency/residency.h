#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "arrow/column.h"
#include "arrow/on_demand_file.h"
#include "residency/block_memory.h"
#include "residency/expectation.h"
#include "residency/forecast.h"
#include "residency/read_pool.h"

namespace arrowmind::residency {

struct Settings {
  int64_t budget = 0;  // bytes of blocks and of what is pinned
  int threads = 4;     // that read
  Policy policy = Policy::kFarthest;
};

// Since the beginning.
struct Counters {
  int64_t hits = 0;    // blocks that were there when they were asked for
  int64_t late = 0;    // that were on their way
  int64_t misses = 0;  // that nobody had sent for
  int64_t evictions = 0;
  int64_t prefetched = 0;  // blocks read ahead
  int64_t wasted = 0;      // of these, gone before use
  int64_t bytes_read = 0;
  int64_t bytes_wasted = 0;    // of these, of blocks that were gone before use
  int64_t stalled_ns = 0;      // time that callers of acquire() waited
  int64_t resident_bytes = 0;  // now, what is pinned, on its way or kept for later included
  int64_t peak_bytes = 0;
  int64_t pinned_bytes = 0;
  int64_t resident_blocks = 0;  // now
};

// Keeps blocks of a file in memory within a budget: reads those that are asked for, reads ahead, and gives
// back those that will be needed last. Memory is reserved before a read begins, so that the budget holds at
// every moment. Blocks that are leased stay.
//
// Safe under calls from several threads. A caller that waits for room holds no lease of this call; one that
// holds leases of earlier calls can wait for ever when others do the same: release first.
class Residency {
 public:
  Residency(std::shared_ptr<const arrow::OnDemandFile> file, Settings settings);
  ~Residency();

  // Adds a block of several ranges of the file. `place` orders uses within a round: blocks of a layer share
  // one. Throws Error(kInvalidArgument) for ranges outside of the file, and after seal().
  // `asked`: its users ask address() where it lies, so that it need not lie at the file's own addresses, nor
  // share pages with others. Blocks of nearly one size take each other's places then.
  int add(std::span<const arrow::FileRange> ranges, int64_t place, bool asked = false);
  // A range that is always there.
  void pin(arrow::FileRange range);
  // Loads what is pinned; blocks can be used from now on. Pages that lie in two blocks are pinned, too.
  // Throws Error(kInvalidArgument) when blocks overlap by more, Error(kBudget) when the budget is too small
  // for what is pinned and the largest block.
  void seal();

  // Waits until all `blocks` are in memory; they stay until released as often as acquired. Throws
  // Error(kBudget) when they do not fit the budget together, Error(kIntegrity) when one cannot be read;
  // nothing is leased then.
  void acquire(std::span<const int32_t> blocks);
  // Sends for all of `blocks`, which are distinct, as far as they fit together; waits for the first, and
  // leases it and those after it that are there by then. Their number. Errors as acquire().
  // `together`: waits for all that fit, and leases those.
  size_t acquire_first(std::span<const int32_t> blocks, bool together = false);
  void release(std::span<const int32_t> blocks);
  // Where a byte of the file lies, which is one of a block that the caller has acquired; until it is
  // released.
  const uint8_t* address(int32_t block, int64_t offset) const;
  // Reads ahead as far as there is room, or something that is needed later to give up for it.
  void prefetch(std::span<const int32_t> blocks);
  // The same for those of them that more than this share of the last rounds used, the likeliest first.
  void prefetch_likely(std::span<const int32_t> blocks, double threshold);
  // Guesses that `blocks` will be asked for when their place comes round, the surest first: until then they
  // go last of all, and while such guesses prove right those that are missing are read ahead.
  void expect(std::span<const int32_t> blocks);

  // Blocks that will not be asked for in their turn, as they were copied elsewhere: the first to give way,
  // and not read ahead by habit or guesses.
  void retire(std::span<const int32_t> blocks);
  // In their turn, blocks of a place are used where they were copied: counts these uses, but no hit, and
  // retires them until acquire_first() asks for them again. `whole`: nothing else of their place is asked
  // for.
  void pass_over(std::span<const int32_t> blocks, bool whole);

  // Leases a block for a copy if it is in memory, and what is lent leaves room for the largest block, so that
  // forwards go on. Never waits, reads, or counts a use. Whether it is lent; take_back() ends it.
  bool lend(int32_t block);
  void take_back(int32_t block);
  // Whether somebody waits for room, which what is lent takes from them.
  bool is_short() const;

  // A smaller one gives memory back as soon as leases allow. Throws Error(kBudget) if less than what is
  // pinned and the largest block.
  void set_budget(int64_t bytes);
  int64_t budget() const;
  int64_t needed_bytes() const;  // what is pinned and the largest block
  int32_t blocks() const { return static_cast<int32_t>(blocks_.size()); }
  int64_t block_bytes(int32_t block) const { return blocks_[static_cast<size_t>(block)].extent.bytes; }
  Counters counters() const;
  const std::shared_ptr<const arrow::OnDemandFile>& file() const { return file_; }

 private:
  // How soon a block is needed that is expected: before all others that nobody holds.
  static constexpr int64_t kExpected = 0;
  enum class State : uint8_t { kAbsent, kLoading, kResident };
  struct Block {
    Extent extent;
    int64_t place = 0;
    State state = State::kAbsent;
    int leases = 0;
    int pieces = 0;      // still being read
    bool sent = false;   // read because somebody asked for it: counted as a miss
    bool ahead = false;  // read ahead, and not used yet
    bool retired = false;
    std::string failure;  // of the last read
  };

  void check(std::span<const int32_t> blocks) const;
  std::vector<int32_t> distinct(std::span<const int32_t> blocks) const;
  void load_pinned();
  int farthest(int64_t beyond) const;
  int64_t evictable(std::span<const int32_t> except) const;
  bool make_room(int64_t bytes, int64_t beyond);
  void evict(Block& block);
  bool send_for(int32_t id);
  void count_use(int32_t id);
  bool read_ahead(int32_t id, int64_t beyond);
  void settle(std::span<const int32_t> used);
  void give_up(int32_t id);
  void begin_read(int32_t id, bool urgent);
  void read_piece(int32_t id, Pages piece);
  void end_piece(int32_t id, int64_t bytes, std::string failure);
  void wait_for_room(std::unique_lock<std::mutex>& lock, std::span<const int32_t> blocks);
  void wait_for_reads(std::unique_lock<std::mutex>& lock, std::span<const int32_t> blocks);
  void drop_leases(std::span<const int32_t> blocks);

  std::shared_ptr<const arrow::OnDemandFile> file_;
  Policy policy_;
  mutable std::mutex mutex_;
  BlockMemory memory_;
  std::condition_variable changed_;
  std::vector<Block> blocks_;
  std::vector<Pages> pinned_;
  std::unique_ptr<Forecast> forecast_;
  std::unique_ptr<Expectation> expected_;
  bool sealed_ = false;
  int64_t largest_ = 0;
  int64_t lent_ = 0;  // bytes of blocks that are lent
  int waiting_ = 0;   // callers that wait for room
  Counters counters_;
  int owner_process_;
  std::unique_ptr<ReadPool> readers_;  // last: its threads end before the rest
};

}  // namespace arrowmind::residency
