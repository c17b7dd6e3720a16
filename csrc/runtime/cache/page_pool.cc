#include "runtime/cache/page_pool.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace arrowmind::runtime {

PagePool::PagePool(std::vector<int64_t> sizes, int64_t bound)
    : sizes_(std::move(sizes)), bound_(bound), free_(sizes_.size()) {
  const auto usable = [](int64_t size) { return size > 0; };
  if (bound < 0 || !std::all_of(sizes_.begin(), sizes_.end(), usable)) {
    fail(ErrorKind::kInvalidArgument, "a pool of pages needs sizes above 0 and a bound; the bound is ",
         bound);
  }
}

Page* PagePool::take(int kind) {
  std::vector<Page*>& free = free_[static_cast<size_t>(kind)];
  if (free.empty()) {
    const int64_t size = size_of(kind);
    // Free pages of other kinds must not stand in the way of the bound.
    while (held_ + size > bound_ && held_ > used_) release_one();
    auto made = std::make_unique<Page>();
    made->kind = kind;
    made->memory.resize(size);
    // What no token was written to is read, and not used: it must be numbers that cost no time.
    std::memset(made->memory.as<void>(), 0, static_cast<size_t>(size));
    pages_.push_back(std::move(made));
    held_ += size;
    free.push_back(pages_.back().get());
  }
  Page* page = free.back();
  free.pop_back();
  page->owners = 1;
  used_ += size_of(kind);
  return page;
}

void PagePool::drop(Page* page) {
  if (--page->owners > 0) return;
  used_ -= size_of(page->kind);
  free_[static_cast<size_t>(page->kind)].push_back(page);
}

// Frees the memory of some free page; there is one.
void PagePool::release_one() {
  for (std::vector<Page*>& free : free_) {
    if (free.empty()) continue;
    Page* page = free.back();
    free.pop_back();
    held_ -= size_of(page->kind);
    const auto place = std::find_if(pages_.begin(), pages_.end(),
                                    [&](const std::unique_ptr<Page>& one) { return one.get() == page; });
    std::swap(*place, pages_.back());
    pages_.pop_back();
    return;
  }
}

void PagePool::trim() {
  while (held_ > used_) release_one();
}

}  // namespace arrowmind::runtime
