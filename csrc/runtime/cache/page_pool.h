#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned_buffer.h"

namespace arrowmind::runtime {

// A piece of memory that several sequences may read. Only its sole owner writes it.
struct Page {
  AlignedBuffer memory;
  int32_t owners = 0;
  int32_t kind = 0;
};

// Pages of a few sizes. Memory is taken when a page is first needed and kept for the next one; together they
// never exceed the bound. Not safe from several threads at once.
class PagePool {
 public:
  // `sizes`: bytes of a page of each kind. Throws Error(kInvalidArgument) unless all are positive and the
  // bound is not negative.
  PagePool(std::vector<int64_t> sizes, int64_t bound);

  int64_t size_of(int kind) const { return sizes_[static_cast<size_t>(kind)]; }
  int64_t bound() const { return bound_; }
  int64_t used() const { return used_; }  // bytes of pages with owners
  int64_t held() const { return held_; }  // bytes of memory, free pages included
  int64_t room() const { return bound_ - used_; }

  // A page with one owner, its contents undefined. The caller has seen to it that there is room for it.
  // Throws std::bad_alloc, and nothing is taken.
  Page* take(int kind);
  void share(Page* page) { ++page->owners; }
  // One owner less; the last one's page becomes free.
  void drop(Page* page);
  // Gives the memory of free pages back to the system.
  void trim();

 private:
  void release_one();

  std::vector<int64_t> sizes_;
  int64_t bound_;
  int64_t used_ = 0, held_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;  // all that have memory
  std::vector<std::vector<Page*>> free_;      // by kind
};

}  // namespace arrowmind::runtime
