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
    free.reserve(free.size() + 1);
    pages_.reserve(pages_.size() + 1);
    if (device_ != nullptr) {
      made->slot = device_->take(kind);
    } else {
      made->memory.resize(size);
      // What no token was written to is read, and not used: it must be numbers that cost no time.
      std::memset(made->memory.as<void>(), 0, static_cast<size_t>(size));
    }
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
    if (device_ != nullptr) device_->give(page->kind, page->slot);
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

void PagePool::copy(Page* from, Page* to) {
  if (device_ != nullptr) {
    device_->copy(from->kind, from->slot, to->slot);
    return device_->wait();
  }
  std::memcpy(to->memory.as<char>(), from->memory.as<char>(), static_cast<size_t>(size_of(from->kind)));
}

void PagePool::read(Page* page, char* to) const {
  if (device_ != nullptr) return device_->read(page->kind, page->slot, to);
  std::memcpy(to, page->memory.as<char>(), static_cast<size_t>(size_of(page->kind)));
}

void PagePool::write(Page* page, const char* from) {
  if (device_ != nullptr) return device_->write(page->kind, page->slot, from);
  std::memcpy(page->memory.as<char>(), from, static_cast<size_t>(size_of(page->kind)));
}

void PagePool::wait() const {
  if (device_ != nullptr) device_->wait();
}

// Free pages do not come along.
void PagePool::forget_free() {
  while (held_ > used_) release_one();
}

void PagePool::to_device(std::unique_ptr<DevicePages> device) {
  forget_free();
  std::vector<int64_t> slots;
  for (const std::unique_ptr<Page>& page : pages_) {
    slots.push_back(device->take(page->kind));
    device->write(page->kind, slots.back(), page->memory.as<char>());
  }
  device->wait();
  for (size_t i = 0; i < pages_.size(); ++i) {
    pages_[i]->slot = slots[i];
    pages_[i]->memory = AlignedBuffer();
  }
  device_ = std::move(device);
}

bool PagePool::to_host() {
  if (device_ == nullptr) return true;
  forget_free();
  for (const std::unique_ptr<Page>& page : pages_) page->memory.resize(size_of(page->kind));
  bool is_kept = true;
  try {
    for (const std::unique_ptr<Page>& page : pages_) {
      device_->read(page->kind, page->slot, page->memory.as<char>());
    }
    device_->wait();
  } catch (const device::DeviceFailure&) {
    is_kept = false;
  }
  device_.reset();  // whatever was submitted is done, or will never be
  for (const std::unique_ptr<Page>& page : pages_) {
    page->slot = -1;
    if (!is_kept) std::memset(page->memory.as<char>(), 0, static_cast<size_t>(size_of(page->kind)));
  }
  return is_kept;
}

}  // namespace arrowmind::runtime
