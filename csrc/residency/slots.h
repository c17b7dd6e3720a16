#pragma once

#include <cstdint>
#include <queue>
#include <vector>

namespace arrowmind::residency {

// Places of one size for blocks whose users ask where they lie. A block that comes takes the place of one
// that went as it is: no page is mapped, moved, zeroed or protected, which would stop all processors of a
// virtual machine for longer than a fast disk takes to read the block. Memory comes in huge pages, into which
// a disk reads fastest.
//
// Not safe from several threads at once.
class Slots {
 public:
  Slots() = default;
  ~Slots();
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // Address space for `count` slots; no memory. Throws Error(kWeight).
  void reserve(int64_t slot_bytes, int64_t count);
  // So many bytes from the beginning may be huge pages: no more than will be used, as the last one reaches
  // into slots behind it.
  void allow_huge(int64_t bytes);
  // One that has memory, if there is such.
  int32_t take();
  void give(int32_t slot);
  // Gives memory of free slots back to the system until no more than so many bytes are left.
  void shrink(int64_t most);
  int64_t spare_bytes() const { return static_cast<int64_t>(warm_.size()) * slot_bytes_; }
  uint8_t* address(int32_t slot) const { return data_ + slot * slot_bytes_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
  int64_t slot_bytes_ = 0;
  std::vector<int32_t> warm_;  // free, with memory
  // Free, without: from the beginning on, so that those in use lie together.
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> cold_;
};

}  // namespace arrowmind::residency
