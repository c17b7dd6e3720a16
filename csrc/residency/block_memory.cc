#include "residency/block_memory.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::residency {
namespace {

// Blocks whose sizes differ by more than this part share no slots: memory would be wasted.
constexpr int64_t kUnlike = 16;
constexpr int64_t kPage = arrow::OnDemandFile::kPage;

// Bytes of a slot that serves all blocks that are asked where they lie; 0 where none does.
int64_t common_slot(std::span<Extent* const> extents) {
  int64_t most = 0, least = INT64_MAX;
  for (const Extent* extent : extents) {
    if (!extent->asked) continue;
    const int64_t bytes = bytes_of(merged(extent->parts));
    most = std::max(most, bytes);
    least = std::min(least, bytes);
  }
  return most > 0 && least > 0 && most - least <= most / kUnlike + 2 * kPage ? most : 0;
}

}  // namespace

void BlockMemory::settle(std::span<Extent* const> extents, std::vector<Pages>& pinned) {
  const int64_t slot = common_slot(extents);
  int64_t slots = 0;
  std::vector<std::vector<Pages>*> in_place;
  for (Extent* extent : extents) {
    extent->asked = extent->asked && slot > 0;
    if (extent->asked) {
      extent->parts = merged(extent->parts);
      slots += 1;
    } else {
      in_place.push_back(&extent->parts);
    }
  }
  if (slots > 0) slots_.reserve(slot, slots);
  cut_seams(in_place, pinned, file_.path());
  for (Extent* extent : extents) extent->bytes = extent->asked ? slot : bytes_of(extent->parts);
}

void BlockMemory::pin(int64_t bytes) {
  taken_ = awaited_ = bytes;
}

void BlockMemory::take(Extent& extent) {
  taken_ += extent.bytes;
  if (extent.asked) {
    extent.slot = slots_.take();
  } else {
    awaited_ += extent.bytes;
  }
  trim();
  note_peak();
}

void BlockMemory::give_back(Extent& extent) {
  taken_ -= extent.bytes;
  if (extent.asked) {
    slots_.give(std::exchange(extent.slot, -1));
  } else {
    awaited_ -= extent.bytes;
  }
}

void BlockMemory::leave(Extent& extent) {
  taken_ -= extent.bytes;
  if (extent.asked) {
    slots_.give(std::exchange(extent.slot, -1));
  } else {
    for (const Pages& part : extent.parts) spare_.keep(part);
  }
}

void BlockMemory::drop(Extent& extent) {
  taken_ -= extent.bytes;
  if (extent.asked) {
    slots_.give(std::exchange(extent.slot, -1));
  } else {
    for (const Pages& part : extent.parts) file_.drop(part.begin, part.end);
  }
}

void BlockMemory::read(const Extent& extent, Pages piece) {
  if (extent.asked) {
    file_.read(piece.begin, piece.end, address(extent, piece.begin));
  } else {
    bring(piece);
  }
}

void BlockMemory::bring(Pages pages) {
  std::unique_lock lock(mutex_);
  const std::vector<Pages> bare = spare_.give(pages);
  awaited_ -= pages.end - pages.begin;
  const int64_t missing = bytes_of(bare), mapped = round_up(missing, SpareMemory::kHuge);
  const int64_t spare = slots_.spare_bytes() + spare_.bytes();
  const bool has_room = fits(spare + coming_ + mapped - missing);
  if (missing > 0 && has_room && spare_.is_of_use()) {
    coming_ += mapped - missing;
    lock.unlock();
    const SpareMemory::Memory fresh = SpareMemory::map_huge(mapped);
    lock.lock();
    coming_ -= mapped - missing;
    spare_.keep(fresh);
    for (const Pages& part : bare) spare_.give(part);
  }
  note_peak();
  lock.unlock();
  file_.load(pages.begin, pages.end);
}

uint8_t* BlockMemory::address(const Extent& extent, int64_t offset) const {
  if (!extent.asked) return file_.address(offset);
  int64_t before = 0;
  for (const Pages& part : extent.parts) {
    if (part.begin <= offset && offset < part.end && extent.slot >= 0) {
      return slots_.address(extent.slot) + before + (offset - part.begin);
    }
    before += part.end - part.begin;
  }
  fail(ErrorKind::kInvalidArgument, "byte ", offset, " of ", file_.path(),
       " is asked for in a block that has none such in memory");
}

void BlockMemory::set_budget(int64_t bytes, int64_t pinned) {
  budget_ = bytes;
  slots_.allow_huge(bytes - pinned);
}

void BlockMemory::trim() {
  slots_.shrink(budget_ - taken_);
  spare_.shrink(budget_ - taken_ - slots_.spare_bytes() + awaited_);
}

int64_t BlockMemory::held() const {
  return taken_ + slots_.spare_bytes() + std::max<int64_t>(0, spare_.bytes() - awaited_);
}

void BlockMemory::note_peak() {
  peak_ = std::max(peak_, held());
}

}  // namespace arrowmind::residency
