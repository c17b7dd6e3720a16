// Pages of a cache that go to a device and come back.

#include "base/checked.h"
#include "base/error.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::runtime {
namespace {

// Kernels are given places at multiples of so many bytes.
constexpr int64_t kConstantRound = 256;

}  // namespace

// Lists know pages by their addresses, too.
void KvCache::find_pages() {
  for (auto& [id, sequence] : sequences_) {
    for (PageList& list : sequence.groups) {
      for (Pages* pages : {&list.exact, &list.small}) {
        for (size_t i = 0; i < pages->pages.size(); ++i) pages->put(i, pages->pages[i]);
      }
    }
  }
}

// Of the kinds of the pool. Small pages hold nearly all tokens, those in full what one sequence has of them.
std::vector<DevicePages::Size> KvCache::device_sizes() const {
  std::vector<DevicePages::Size> sizes;
  const int64_t full = has_small() ? exact_overhead() : pool_.bound() / full_bytes();
  for (const int64_t bytes : group_bytes_) sizes.push_back({.bytes = bytes, .expected = full});
  if (!has_small()) return sizes;
  for (const int64_t bytes : group_small_bytes_) {
    sizes.push_back({.bytes = bytes, .expected = pages_of(options_.max_tokens)});
  }
  return sizes;
}

void KvCache::to_device(std::shared_ptr<device::Device> device) {
  if (pool_.device() != nullptr && pool_.device()->device() == device) return;
  if (pool_.device() != nullptr) {
    throw device::DeviceFailure(device::Failure::kFailed,
                                cat("[", device->name(), "] the pages are on ",
                                    pool_.device()->device()->name(), " as it was opened before"));
  }
  std::vector<float> constants;
  for (Place& place : places_) {
    if (place.signs.empty()) continue;
    place.signs_offset = static_cast<int64_t>(constants.size()) * 4;
    constants.insert(constants.end(), place.signs.begin(), place.signs.end());
    constants.resize(
        static_cast<size_t>(round_up(static_cast<int64_t>(constants.size()) * 4, kConstantRound)) / 4);
  }
  pool_.to_device(std::make_unique<DevicePages>(std::move(device), device_sizes(), pool_.bound(), constants));
  find_pages();
}

bool KvCache::to_host() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (pool_.device() == nullptr) return true;
  const bool is_kept = pool_.to_host();
  if (!is_kept && has_small()) drop_lost();
  find_pages();
  return is_kept;
}

// Pages in full that nobody shares: tokens that are written again take as many, one after the other, and have
// room for it. Those that are shared, and small ones, are filled where they are.
void KvCache::drop_lost() {
  for (auto& [id, sequence] : sequences_) {
    for (PageList& list : sequence.groups) {
      for (size_t i = 0; i < list.exact.pages.size(); ++i) {
        if (list.exact.has(i) && list.exact.pages[i]->owners == 1) drop(list.exact, i);
      }
    }
  }
}

// After all was written again: what was small alone is so again.
void KvCache::settle(PageList& list) {
  for (size_t i = static_cast<size_t>(first_small()); i < list.exact.pages.size(); ++i) {
    if (!list.exact.has(i)) list.dropped = std::max(list.dropped, static_cast<int64_t>(i) + 1);
  }
  for (int64_t i = first_small(); i < list.dropped; ++i) drop(list.exact, static_cast<size_t>(i));
  list.shrunk = std::max(list.shrunk, list.dropped);
}

void KvCache::rewind(int64_t id, int64_t tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Sequence& one = find(id);
  const int64_t most = static_cast<int64_t>(one.groups[0].exact.pages.size()) * options_.page_tokens;
  const bool is_part = has_small() && tokens > 0 && tokens < one.length;
  if (is_part || tokens < 0 || tokens > most) {
    fail(ErrorKind::kInvalidArgument, "sequence ", id, " has pages for ", most, " tokens; it cannot go to ",
         tokens, is_part ? ": where pages become small, all tokens are written again" : "");
  }
  one.length = tokens;
  if (!has_small()) return;
  for (PageList& list : one.groups) {
    if (tokens > 0) {
      settle(list);
    } else {
      list.shrunk = list.dropped = 0;
    }
  }
}

KvCache::DeviceLayer KvCache::device_layer(int64_t layer) const {
  const Place& place = places_[static_cast<size_t>(layer)];
  return {.group = static_cast<int32_t>(place.layer.group),
          .key_heads = place.layer.key_heads,
          .offset = place.offset,
          .small_offset = place.small_offset,
          .layout = place.layout,
          .small_layout = place.small_layout,
          .is_turned = !place.signs.empty(),
          .signs_offset = place.signs_offset};
}

}  // namespace arrowmind::runtime
