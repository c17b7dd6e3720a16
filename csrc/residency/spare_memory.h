#pragma once

#include <cstdint>
#include <vector>

#include "arrow/on_demand_file.h"
#include "residency/pages.h"

namespace arrowmind::residency {

// Memory of blocks that were evicted, handed to the blocks that come in their place: the system would take
// the pages back and zero others, which takes longer than a fast disk takes to read them. What is new comes
// in huge pages, and stays in one piece wherever it goes: a disk reads into such memory up to three times as
// fast, as its requests have few segments.
//
// Not safe from several threads at once, but for map_huge().
class SpareMemory {
 public:
  static constexpr int64_t kHuge = int64_t{2} << 20;

  // Memory that has no place in the file yet.
  struct Memory {
    uint8_t* data = nullptr;
    int64_t bytes = 0;
  };

  explicit SpareMemory(const arrow::OnDemandFile& file) : file_(file) {}
  ~SpareMemory() { shrink(0); }
  SpareMemory(const SpareMemory&) = delete;
  SpareMemory& operator=(const SpareMemory&) = delete;

  // Takes the memory of loaded pages, which can be read no longer.
  void keep(Pages pages);
  // Takes what map_huge() gave.
  void keep(Memory memory);
  // Hands as much as there is to pages that are about to be loaded; returns those that have none.
  std::vector<Pages> give(Pages pages);
  // Gives back to the system what is more than so many bytes.
  void shrink(int64_t most);
  int64_t bytes() const { return bytes_; }
  // Whether this system can hand memory on; nothing is kept where it cannot.
  bool is_of_use() const { return is_of_use_; }

  // New memory, zeroed, a multiple of kHuge; none where the system has none.
  static Memory map_huge(int64_t bytes);

 private:
  // Where spare memory lies: in the address space of the file, or in one of its own.
  struct Spare {
    uint8_t* data;
    int64_t bytes;
    bool is_own;
  };

  void leave_in_place(Pages pages, std::vector<Pages>& bare);
  bool fill(Pages& bare);
  void release(const Spare& part) const;

  const arrow::OnDemandFile& file_;
  std::vector<Spare> spares_;
  int64_t bytes_ = 0;
  bool is_of_use_ = true;  // until the system refuses
};

}  // namespace arrowmind::residency
