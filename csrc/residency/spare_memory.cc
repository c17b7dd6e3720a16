#include "residency/spare_memory.h"

#include <sys/mman.h>

#include <algorithm>

namespace arrowmind::residency {
namespace {

int64_t size_of(Pages pages) {
  return pages.end - pages.begin;
}

// Adds what of `from` does not lie in `cut`.
void add_rest(Pages from, Pages cut, std::vector<Pages>& rest) {
  const Pages before = {from.begin, std::min(from.end, cut.begin)};
  const Pages behind = {std::max(from.begin, cut.end), from.end};
  for (const Pages& part : {before, behind}) {
    if (size_of(part) > 0) rest.push_back(part);
  }
}

}  // namespace

void SpareMemory::keep(Pages pages) {
  if (size_of(pages) <= 0) return;
  file_.hide(pages.begin, pages.end);
  spares_.push_back({file_.address(pages.begin), size_of(pages), false});
  bytes_ += size_of(pages);
  if (!is_of_use_) shrink(0);
}

void SpareMemory::keep(Memory memory) {
  if (memory.data == nullptr) return;
  spares_.push_back({memory.data, memory.bytes, true});
  bytes_ += memory.bytes;
}

std::vector<Pages> SpareMemory::give(Pages pages) {
  std::vector<Pages> bare = {pages}, left;
  leave_in_place(pages, bare);
  for (Pages& part : bare) {
    if (!fill(part)) {
      is_of_use_ = false;
      shrink(0);
    }
    if (size_of(part) > 0) left.push_back(part);
  }
  return left;
}

// Spares that lie where they are wanted need not move.
void SpareMemory::leave_in_place(Pages pages, std::vector<Pages>& bare) {
  std::vector<Spare> kept;
  for (const Spare& spare : spares_) {
    const int64_t begin = spare.is_own ? -1 : spare.data - file_.address(0);
    const Pages common = {std::max(begin, pages.begin), std::min(begin + spare.bytes, pages.end)};
    if (spare.is_own || size_of(common) <= 0) {
      kept.push_back(spare);
      continue;
    }
    bytes_ -= size_of(common);
    std::vector<Pages> rest;
    add_rest({begin, begin + spare.bytes}, common, rest);
    for (const Pages& part : rest) kept.push_back({file_.address(part.begin), size_of(part), false});
    rest.clear();
    for (const Pages& part : bare) add_rest(part, common, rest);
    bare = std::move(rest);
  }
  spares_ = std::move(kept);
}

bool SpareMemory::fill(Pages& bare) {
  while (size_of(bare) > 0 && !spares_.empty()) {
    Spare& spare = spares_.back();
    const int64_t bytes = std::min(spare.bytes, size_of(bare));
    if (!file_.take(spare.data + spare.bytes - bytes, bytes, bare.begin, spare.is_own)) return false;
    spare.bytes -= bytes;
    bare.begin += bytes;
    bytes_ -= bytes;
    if (spare.bytes == 0) spares_.pop_back();
  }
  return true;
}

void SpareMemory::shrink(int64_t most) {
  while (bytes_ > most && !spares_.empty()) {
    Spare& spare = spares_.back();
    const int64_t page = arrow::OnDemandFile::kPage;
    const int64_t bytes = std::min(spare.bytes, (bytes_ - most + page - 1) / page * page);
    spare.bytes -= bytes;
    bytes_ -= bytes;
    release({spare.data + spare.bytes, bytes, spare.is_own});
    if (spare.bytes == 0) spares_.pop_back();
  }
}

void SpareMemory::release(const Spare& part) const {
  if (part.is_own) {
    ::munmap(part.data, static_cast<size_t>(part.bytes));
    return;
  }
  const int64_t begin = part.data - file_.address(0);
  file_.drop(begin, begin + part.bytes);
}

SpareMemory::Memory SpareMemory::map_huge(int64_t bytes) {
  const size_t size = static_cast<size_t>(bytes), around = size + static_cast<size_t>(kHuge);
  void* place =
      ::mmap(nullptr, around, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return {};
  auto* first = static_cast<uint8_t*>(place);
  const size_t before = static_cast<size_t>(-reinterpret_cast<uintptr_t>(first)) % static_cast<size_t>(kHuge);
  if (before > 0) ::munmap(first, before);
  ::munmap(first + before + size, static_cast<size_t>(kHuge) - before);
  uint8_t* data = first + before;
#ifdef MADV_HUGEPAGE
  ::madvise(data, size, MADV_HUGEPAGE);  // where the system has none, small ones serve
#endif
  for (size_t at = 0; at < size; at += static_cast<size_t>(arrow::OnDemandFile::kPage)) {
    *static_cast<volatile uint8_t*>(data + at) = 0;  // they come when they are touched
  }
  return {data, bytes};
}

}  // namespace arrowmind::residency
