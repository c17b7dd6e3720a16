#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "arrow/on_demand_file.h"
#include "residency/pages.h"
#include "residency/slots.h"
#include "residency/spare_memory.h"

namespace arrowmind::residency {

// Where a block lies: at the file's own addresses, or in a slot.
struct Extent {
  std::vector<Pages> parts;
  int64_t bytes = 0;   // that it takes of a budget
  bool asked = false;  // its users ask where it lies: in a slot, where slots serve
  int32_t slot = -1;
};

// The memory of blocks within a budget, and what is left over of blocks that went: counts what is taken, and
// hands on what is spare. Which blocks come and go is another's to say.
//
// Calls are made under the mutex of the owner, but for read() and bring(), which take it for a while.
class BlockMemory {
 public:
  BlockMemory(const arrow::OnDemandFile& file, int64_t budget, std::mutex& mutex)
      : file_(file), budget_(budget), mutex_(mutex), spare_(file) {}

  // Once all blocks are known: pages of each, and slots for those that are asked where they lie, when they
  // are nearly of one size. Pages of two blocks are added to what is pinned. Errors as cut_seams().
  void settle(std::span<Extent* const> extents, std::vector<Pages>& pinned);
  // Counts what is always there; each of its pages is to be brought.
  void pin(int64_t bytes);

  // Memory for a block that is about to be read. What exceeds the budget of what is spare is given back.
  void take(Extent& extent);
  // Of a block that no read has begun of.
  void give_back(Extent& extent);
  // Keeps memory of a block that was there for those that come.
  void leave(Extent& extent);
  // The memory of a block that could not be read.
  void drop(Extent& extent);

  // Reads pages of a block that has memory. Throws Error(kIntegrity).
  void read(const Extent& extent, Pages piece);
  // Loads pages of the file into memory that is left over, or new.
  void bring(Pages pages);
  // Of a byte of the file in a block that has memory. Throws Error(kInvalidArgument) for others.
  uint8_t* address(const Extent& extent, int64_t offset) const;

  void set_budget(int64_t bytes, int64_t pinned);
  int64_t budget() const { return budget_; }
  // Whether so many bytes more are within the budget.
  bool fits(int64_t bytes) const { return taken_ + bytes <= budget_; }
  // Gives back what is spare beyond the budget.
  void trim();
  // Bytes of memory, once what is being read has its own.
  int64_t held() const;
  int64_t peak() const { return peak_; }

 private:
  void note_peak();

  const arrow::OnDemandFile& file_;
  int64_t budget_;
  std::mutex& mutex_;
  SpareMemory spare_;  // within the budget, beside what is taken
  Slots slots_;        // of blocks that are asked where they lie
  int64_t taken_ = 0;
  int64_t awaited_ = 0;  // of this, what has no memory yet, and takes what is spare
  int64_t coming_ = 0;   // spare memory that is being mapped
  int64_t peak_ = 0;
};

}  // namespace arrowmind::residency
