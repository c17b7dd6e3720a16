#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "runtime/cache/device_pages.h"

namespace arrowmind::runtime {

// A piece of memory that several sequences may read. Only its sole owner writes it.
struct Page {
  AlignedBuffer memory;  // empty while the page is on a device
  int64_t slot = -1;     // there
  int32_t owners = 0;
  int32_t kind = 0;
};

// Pages of a few sizes. Memory is taken when a page is first needed and kept for the next one; together they
// never exceed the bound. All are in memory of the host, or all on one device. Not safe from several threads
// at once.
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
  // Throws std::bad_alloc or DeviceFailure, and nothing is taken.
  Page* take(int kind);
  void share(Page* page) { ++page->owners; }
  // One owner less; the last one's page becomes free.
  void drop(Page* page);
  // Gives the memory of free pages back to the system.
  void trim();

  // Contents of pages, wherever they are; DeviceFailure where they cannot be had. Those of the host's memory
  // are read and written once wait() returned.
  void copy(Page* from, Page* to);
  void read(Page* page, char* to) const;
  void write(Page* page, const char* from);
  void wait() const;

  DevicePages* device() const { return device_.get(); }  // null: pages are in memory of the host
  // Moves all pages there; they stay where they are when it throws.
  void to_device(std::unique_ptr<DevicePages> device);
  // Moves all pages back; false where the device gave no contents: they are zeros then.
  bool to_host();

 private:
  void release_one();
  void forget_free();

  std::vector<int64_t> sizes_;
  int64_t bound_;
  int64_t used_ = 0, held_ = 0;
  std::unique_ptr<DevicePages> device_;
  std::vector<std::unique_ptr<Page>> pages_;  // all that have memory
  std::vector<std::vector<Page*>> free_;      // by kind
};

}  // namespace arrowmind::runtime
