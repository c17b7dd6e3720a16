// Pages of a sequence that are taken out, kept elsewhere, and put back at other positions.

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/rope/turns.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::runtime {

int64_t KvCache::shift(int64_t id) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return sequence(id).shift;
}

void KvCache::check_pages(const Sequence& sequence, int64_t first, int64_t count) const {
  if (!can_move()) {
    fail(ErrorKind::kInvalidArgument, "pages of codes cannot be moved; use a cache of fp16 or fp32");
  }
  const int64_t whole = sequence.length / options_.page_tokens;
  if (first < 0 || count < 0 || first > whole || count > whole - first) {
    fail(ErrorKind::kInvalidArgument, count, " pages from page ", first, " of a sequence of ", whole,
         " whole pages");
  }
}

void KvCache::copy_pages(int64_t id, int64_t first, int64_t count, char* to) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Sequence& one = sequence(id);
  check_pages(one, first, count);
  for (int64_t page = first; page < first + count; ++page) {
    for (size_t group = 0; group < group_bytes_.size(); ++group) {
      const size_t size = static_cast<size_t>(group_bytes_[group]);
      std::memcpy(to, one.groups[group].exact.data[static_cast<size_t>(page)], size);
      to += size;
    }
  }
}

// Pages of a sequence's own with these contents, all or none.
std::vector<KvCache::PageList> KvCache::take_pages(const char* pages, int64_t count) {
  std::vector<PageList> made(group_bytes_.size());
  for (PageList& list : made) list.exact.resize(static_cast<size_t>(count));
  try {
    for (int64_t page = 0; page < count; ++page) {
      for (size_t group = 0; group < group_bytes_.size(); ++group) {
        Page* own = pool_.take(static_cast<int32_t>(group));
        made[group].exact.put(static_cast<size_t>(page), own);
        std::memcpy(own->memory.as<char>(), pages, static_cast<size_t>(group_bytes_[group]));
        pages += group_bytes_[group];
      }
    }
  } catch (...) {
    for (PageList& list : made) {
      for (size_t i = 0; i < list.exact.pages.size(); ++i) drop(list.exact, i);
    }
    throw;
  }
  return made;
}

void KvCache::splice(int64_t id, int64_t first, int64_t count, const char* pages, int64_t put) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Sequence& one = find(id);
  check_pages(one, first, count);
  const int64_t gained = (put - count) * options_.page_tokens;
  if (gained > one.shift) {
    fail(ErrorKind::kInvalidArgument, put, " pages in the place of ", count, " of sequence ", id,
         ", before which there are ", one.shift, " positions only");
  }
  if (put > pool_.room() / full_bytes()) fail_full(put * options_.page_tokens, put * full_bytes());
  std::vector<PageList> made = take_pages(pages, put);
  for (size_t group = 0; group < group_bytes_.size(); ++group) {
    Pages& list = one.groups[group].exact;
    const size_t begin = static_cast<size_t>(first), end = static_cast<size_t>(first + count);
    Pages after;
    after.resize(list.pages.size() - (end - begin) + static_cast<size_t>(put));
    size_t place = 0;
    for (size_t i = 0; i < begin; ++i) after.put(place++, list.pages[i]);
    for (Page* page : made[group].exact.pages) after.put(place++, page);
    for (size_t i = end; i < list.pages.size(); ++i) after.put(place++, list.pages[i]);
    for (size_t i = begin; i < end; ++i) drop(list, i);
    list = std::move(after);
    one.groups[group].small.resize(list.pages.size());
  }
  one.length += gained;
  one.shift -= gained;
}

void KvCache::turn(char* pages, int64_t count, int64_t distance,
                   const std::vector<KeyRotation>& rotations) const {
  if (!can_move() || rotations.size() != places_.size()) {
    fail(ErrorKind::kInvalidArgument, rotations.size(), " rotations for ", places_.size(),
         " layers of a cache whose pages ", can_move() ? "can" : "cannot", " be moved");
  }
  std::vector<int64_t> begins(group_bytes_.size(), 0);
  for (size_t group = 1; group < begins.size(); ++group) {
    begins[group] = begins[group - 1] + group_bytes_[group - 1];
  }
  std::vector<float> cosines, sines;
  for (size_t layer = 0; layer < places_.size(); ++layer) {
    const Place& place = places_[layer];
    const KeyRotation& rotation = rotations[layer];
    if (rotation.pairs < 0 || rotation.first < 0 || rotation.pairs > place.layer.head_dim / 2 ||
        rotation.first > place.layer.head_dim - 2 * rotation.pairs) {
      fail(ErrorKind::kInvalidArgument, rotation.pairs, " pairs from element ", rotation.first,
           " of a head of ", place.layer.head_dim);
    }
    cosines.resize(static_cast<size_t>(rotation.pairs));
    sines.resize(static_cast<size_t>(rotation.pairs));
    rope::fill_way(distance, rotation.frequencies, rotation.pairs, cosines.data(), sines.data());
    const int64_t offset = begins[static_cast<size_t>(place.layer.group)] + place.offset + place.layout.keys;
    for (int64_t page = 0; page < count; ++page) {
      for (int64_t head = 0; head < place.layer.key_heads; ++head) {
        cached_attention::select().turn(
            {.keys = pages + page * full_bytes() + offset + head * place.layout.bytes,
             .format = place.layout.format,
             .page_tokens = options_.page_tokens,
             .head_dim = place.layer.head_dim,
             .first = rotation.first,
             .pairs = rotation.pairs,
             .interleaved = rotation.interleaved,
             .cosines = cosines.data(),
             .sines = sines.data()});
      }
    }
  }
}

}  // namespace arrowmind::runtime
