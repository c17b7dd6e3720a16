// Pages of a sequence that are taken out, kept elsewhere, and put back at other positions.

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/rope/turns.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::runtime {

using cached_attention::Format;
using cached_attention::Layout;

int64_t KvCache::shift(int64_t id) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return sequence(id).shift;
}

void KvCache::check_movable() const {
  if (!can_move()) {
    fail(ErrorKind::kInvalidArgument, "pages of codes cannot be moved; use a cache of fp16 or fp32");
  }
}

void KvCache::check_pages(const Sequence& sequence, int64_t first, int64_t count) const {
  check_movable();
  const int64_t whole = sequence.length / options_.page_tokens;
  if (first < 0 || count < 0 || first > whole || count > whole - first) {
    fail(ErrorKind::kInvalidArgument, count, " pages from page ", first, " of a sequence of ", whole,
         " whole pages");
  }
}

void KvCache::copy_pages(int64_t id, int64_t first, int64_t count, char* to) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Sequence& one = sequence(id);
  check_movable();
  const int64_t pages = pages_of(one.length);
  if (first < 0 || count < 0 || first > pages || count > pages - first) {
    fail(ErrorKind::kInvalidArgument, count, " pages from page ", first, " of a sequence of ", pages);
  }
  for (int64_t page = first; page < first + count; ++page) {
    for (size_t group = 0; group < group_bytes_.size(); ++group) {
      pool_.read(one.groups[group].exact.pages[static_cast<size_t>(page)], to);
      to += group_bytes_[group];
    }
  }
  pool_.wait();
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
        pool_.write(own, pages);
        pages += group_bytes_[group];
      }
    }
    pool_.wait();
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

// Where each group begins in a copied page.
std::vector<int64_t> KvCache::group_begins() const {
  std::vector<int64_t> begins(group_bytes_.size(), 0);
  for (size_t group = 1; group < begins.size(); ++group) {
    begins[group] = begins[group - 1] + group_bytes_[group - 1];
  }
  return begins;
}

void KvCache::turn(char* pages, int64_t count, int64_t distance,
                   const std::vector<KeyRotation>& rotations) const {
  check_movable();
  if (rotations.size() != places_.size()) {
    fail(ErrorKind::kInvalidArgument, rotations.size(), " rotations for ", places_.size(), " layers");
  }
  const std::vector<int64_t> begins = group_begins();
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

// Calls body(head size, offset in a copied page, its layout, offset in an encoded page, its layout) for each
// head of keys.
template <typename Body>
void KvCache::each_head(Format format, const Body& body) const {
  const std::vector<int64_t> begins = group_begins();
  int64_t encoded = 0;
  for (const Place& place : places_) {
    const int64_t begin = begins[static_cast<size_t>(place.layer.group)] + place.offset;
    const Layout layout = cached_attention::layout(format, options_.page_tokens, place.layer.head_dim);
    for (int64_t head = 0; head < place.layer.key_heads; ++head) {
      body(place.layer.head_dim, begin + head * place.layout.bytes, place.layout, encoded, layout);
      encoded += layout.bytes;
    }
  }
}

int64_t KvCache::encoded_bytes(Format format) const {
  int64_t bytes = 0;
  each_head(format, [&](int64_t, int64_t, const Layout&, int64_t, const Layout& to) { bytes += to.bytes; });
  return bytes;
}

void KvCache::encode(const char* pages, int64_t count, Format format, char* codes) const {
  check_movable();
  const cached_attention::Row& kernel = cached_attention::select();
  const int64_t tokens = options_.page_tokens, size = encoded_bytes(format);
  AlignedBuffer rows, half, scratch;
  scratch.resize(cached_attention::kShrinkScratch);
  // What no token is written to is read, and not used.
  std::memset(codes, 0, static_cast<size_t>(count * size));
  const auto one = [&](const char* page, char* to) {
    each_head(
        format, [&](int64_t dim, int64_t offset, const Layout& from, int64_t place, const Layout& made) {
          const std::vector<float> signs = signs_of(dim);
          rows.resize(2 * tokens * dim * 4);
          float* k = rows.as<float>();
          char* source = const_cast<char*>(page);  // read only
          kernel.read({.head = {.pages = &source, .offset = offset, .page_tokens = tokens, .layout = from},
                       .head_dim = dim,
                       .count = tokens,
                       .k = k,
                       .v = k + tokens * dim,
                       .stride = dim});
          const bool is_small = cached_attention::is_small(format);
          const Layout full = cached_attention::layout(Format::kF16, tokens, dim);
          half.resize(full.bytes);
          std::memset(half.as<void>(), 0, static_cast<size_t>(full.bytes));
          char* target = is_small ? half.as<char>() : to + place;
          const bool is_plain = format == Format::kF16 || format == Format::kF32;
          kernel.write({.k = k,
                        .v = k + tokens * dim,
                        .stride = dim,
                        .head_dim = dim,
                        .head = {.pages = &target,
                                 .page_tokens = tokens,
                                 .layout = is_small ? full : made,
                                 .signs = is_plain ? nullptr : signs.data()},
                        .count = tokens});
          if (!is_small) return;
          kernel.shrink({.from = target,
                         .to = to + place,
                         .exact = full,
                         .small = made,
                         .page_tokens = tokens,
                         .head_dim = dim,
                         .scratch = scratch.as<void>()});
        });
  };
  for (int64_t i = 0; i < count; ++i) one(pages + i * page_bytes(), codes + i * size);
}

void KvCache::decode(const char* codes, int64_t count, Format format, char* pages) const {
  check_movable();
  const cached_attention::Row& kernel = cached_attention::select();
  const int64_t tokens = options_.page_tokens, size = encoded_bytes(format);
  AlignedBuffer rows;
  std::memset(pages, 0, static_cast<size_t>(count * page_bytes()));
  const auto one = [&](const char* from, char* page) {
    each_head(format, [&](int64_t dim, int64_t offset, const Layout& to, int64_t place, const Layout& made) {
      const std::vector<float> signs = signs_of(dim);
      const bool is_plain = format == Format::kF16 || format == Format::kF32;
      rows.resize(2 * tokens * dim * 4);
      float* k = rows.as<float>();
      char* source = const_cast<char*>(from) + place;  // read only
      kernel.read({.head = {.pages = &source,
                            .page_tokens = tokens,
                            .layout = made,
                            .signs = is_plain ? nullptr : signs.data()},
                   .head_dim = dim,
                   .count = tokens,
                   .k = k,
                   .v = k + tokens * dim,
                   .stride = dim});
      kernel.write({.k = k,
                    .v = k + tokens * dim,
                    .stride = dim,
                    .head_dim = dim,
                    .head = {.pages = &page, .offset = offset, .page_tokens = tokens, .layout = to},
                    .count = tokens});
    });
  };
  for (int64_t i = 0; i < count; ++i) one(codes + i * size, pages + i * page_bytes());
}

int64_t KvCache::key_columns(int64_t layer) const {
  if (layer < 0 || layer >= static_cast<int64_t>(places_.size())) {
    fail(ErrorKind::kInvalidArgument, "layer ", layer, " of a cache of ", places_.size());
  }
  const CacheLayer& one = places_[static_cast<size_t>(layer)].layer;
  return one.key_heads * one.head_dim;
}

void KvCache::read_keys(const char* pages, int64_t count, int64_t layer, float* keys) const {
  check_movable();
  const int64_t columns = key_columns(layer), tokens = options_.page_tokens;
  const Place& place = places_[static_cast<size_t>(layer)];
  const int64_t begin = group_begins()[static_cast<size_t>(place.layer.group)] + place.offset;
  for (int64_t page = 0; page < count; ++page) {
    char* source = const_cast<char*>(pages) + page * page_bytes();  // read only
    for (int64_t head = 0; head < place.layer.key_heads; ++head) {
      cached_attention::select().read({.head = {.pages = &source,
                                                .offset = begin + head * place.layout.bytes,
                                                .page_tokens = tokens,
                                                .layout = place.layout},
                                       .head_dim = place.layer.head_dim,
                                       .count = tokens,
                                       .k = keys + page * tokens * columns + head * place.layer.head_dim,
                                       .stride = columns});
    }
  }
}

}  // namespace arrowmind::runtime
