#include "runtime/cache/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kMaxPageTokens = 4096;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = cached_attention::kMaxTurned;
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxLength = KvCache::kMaxLength;

void check(const CacheOptions& options) {
  if (options.page_tokens < 16 || options.page_tokens > kMaxPageTokens || options.page_tokens % 16 != 0) {
    fail(ErrorKind::kInvalidArgument, "pages of ", options.page_tokens,
         " tokens; use a multiple of 16 up to ", kMaxPageTokens);
  }
  if (options.sinks < 0 || options.sinks > kMaxLength || options.recent < 0 || options.recent > kMaxLength ||
      options.chunk < 1 || options.chunk > kMaxLength) {
    fail(ErrorKind::kInvalidArgument, "a cache with ", options.sinks, " sinks, ", options.recent,
         " recent tokens and ", options.chunk, " at once; use 0 or more, 0 or more, and 1 or more");
  }
  if (options.max_tokens < 1) {
    fail(ErrorKind::kInvalidArgument, "a cache for ", options.max_tokens, " tokens; use at least 1");
  }
}

void check(const std::vector<CacheLayer>& layers) {
  const auto outside = [](int64_t value, int64_t most) { return value < 1 || value > most; };
  if (outside(static_cast<int64_t>(layers.size()), kMaxLayers)) {
    fail(ErrorKind::kInvalidArgument, "a cache of ", layers.size(), " layers; use 1 to ", kMaxLayers);
  }
  for (const CacheLayer& layer : layers) {
    if (outside(layer.key_heads, kMaxHeads) || outside(layer.head_dim, kMaxHeadDim) || layer.group < 0 ||
        layer.group >= static_cast<int64_t>(layers.size())) {
      fail(ErrorKind::kInvalidArgument, "a cached layer of ", layer.key_heads, " heads of keys of ",
           layer.head_dim, " in group ", layer.group, "; use up to ", kMaxHeads, " heads of up to ",
           kMaxHeadDim, " in fewer groups than layers");
    }
  }
}

}  // namespace

std::vector<float> signs_of(int64_t head_dim) {
  const float size = 1.0f / std::sqrt(static_cast<float>(head_dim & -head_dim));
  std::vector<float> signs;
  uint64_t state = 0x9e3779b97f4a7c15ull;
  for (int64_t d = 0; d < head_dim; ++d) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    signs.push_back((state >> 63) != 0 ? size : -size);
  }
  return signs;
}

KvCache::KvCache(const std::vector<CacheLayer>& layers, CacheOptions options)
    : options_((check(options), options)), pool_((check(layers), lay_out(layers), make_pool())) {}

void KvCache::lay_out(const std::vector<CacheLayer>& layers) {
  using cached_attention::Format;
  for (const CacheLayer& layer : layers) {
    const size_t group = static_cast<size_t>(layer.group);
    if (group >= group_bytes_.size()) {
      group_bytes_.resize(group + 1, 0);
      group_small_bytes_.resize(group + 1, 0);
    }
    Place place{.layer = layer, .offset = group_bytes_[group], .small_offset = group_small_bytes_[group]};
    const auto layout = [&](Format format) {
      return cached_attention::layout(format, options_.page_tokens, layer.head_dim);
    };
    place.layout = layout(has_small() ? Format::kF16 : options_.format);
    group_bytes_[group] += layer.key_heads * place.layout.bytes;
    if (has_small()) {
      place.small_layout = layout(options_.format);
      group_small_bytes_[group] += layer.key_heads * place.small_layout.bytes;
    }
    if (has_small() || options_.format == Format::kI8) place.signs = signs_of(layer.head_dim);
    places_.push_back(std::move(place));
  }
  if (std::find(group_bytes_.begin(), group_bytes_.end(), 0) != group_bytes_.end()) {
    fail(ErrorKind::kInvalidArgument, "a group of cached layers is empty; number them from 0 without gaps");
  }
}

int64_t KvCache::full_bytes() const {
  return std::accumulate(group_bytes_.begin(), group_bytes_.end(), int64_t{0});
}

int64_t KvCache::small_bytes() const {
  return std::accumulate(group_small_bytes_.begin(), group_small_bytes_.end(), int64_t{0});
}

// Float16 pages that one sequence has beside its small ones at most: sinks, the recent tokens, those that
// come, and parts of pages between these.
int64_t KvCache::exact_overhead() const {
  return has_small() ? first_small() + pages_of(options_.recent) + pages_of(options_.chunk) + 3 : 0;
}

PagePool KvCache::make_pool() const {
  const int64_t page = has_small() ? small_bytes() : full_bytes();
  int64_t bound = 0;
  int64_t beside = 0;
  if (!checked_mul(ceil_div(options_.max_tokens, options_.page_tokens), page, &bound) ||
      !checked_mul(exact_overhead(), full_bytes(), &beside) || !checked_add(bound, beside, &bound)) {
    fail(ErrorKind::kInvalidArgument, "a cache for ", options_.max_tokens, " tokens of ",
         page / options_.page_tokens, " bytes each is larger than any memory; use fewer");
  }
  std::vector<int64_t> sizes = group_bytes_;
  if (has_small()) sizes.insert(sizes.end(), group_small_bytes_.begin(), group_small_bytes_.end());
  return PagePool(sizes, bound);
}

int64_t KvCache::pages_of(int64_t tokens) const {
  return ceil_div(tokens, options_.page_tokens);
}

const KvCache::Sequence& KvCache::sequence(int64_t id) const {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) {
    fail(ErrorKind::kInvalidArgument, "sequence ", id, " is not open; start() or fork() gives one");
  }
  return found->second;
}

KvCache::Sequence& KvCache::find(int64_t id) {
  return const_cast<Sequence&>(sequence(id));
}

int64_t KvCache::start(int64_t shift) {
  if (shift < 0 || shift > kMaxLength) {
    fail(ErrorKind::kInvalidArgument, "a sequence whose first token stands at ", shift, "; use 0 to ",
         kMaxLength);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  Sequence& made = sequences_[next_];
  made.groups.resize(group_bytes_.size());
  made.shift = shift;
  return next_++;
}

int64_t KvCache::fork(int64_t id, int64_t tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Sequence& source = sequence(id);
  if (tokens < 0 || tokens > source.length) {
    fail(ErrorKind::kInvalidArgument, "a fork of ", tokens, " tokens of sequence ", id, ", which has ",
         source.length);
  }
  Sequence made = source;
  made.length = tokens;
  for (PageList& list : made.groups) {
    const size_t pages = static_cast<size_t>(pages_of(tokens));
    list.exact.resize(pages);
    list.small.resize(pages);
  }
  const Sequence& kept = sequences_.emplace(next_, std::move(made)).first->second;
  for (const PageList& list : kept.groups) {
    for (const Pages* pages : {&list.exact, &list.small}) {
      for (Page* page : pages->pages) {
        if (page != nullptr) pool_.share(page);
      }
    }
  }
  cut(find(next_));
  return next_++;
}

void KvCache::drop(Pages& pages, size_t i) {
  if (pages.pages[i] == nullptr) return;
  pool_.drop(pages.pages[i]);
  pages.put(i, nullptr);
}

// Drops the pages behind the last token, and small ones that are whole no more.
void KvCache::cut(Sequence& sequence) {
  const int64_t pages = pages_of(sequence.length);
  const int64_t whole = sequence.length / options_.page_tokens;
  for (PageList& list : sequence.groups) {
    for (size_t i = static_cast<size_t>(pages); i < list.exact.pages.size(); ++i) drop(list.exact, i);
    for (size_t i = static_cast<size_t>(pages); i < list.small.pages.size(); ++i) drop(list.small, i);
    list.exact.resize(static_cast<size_t>(pages));
    list.small.resize(static_cast<size_t>(pages));
    list.shrunk = std::min(list.shrunk, whole);
    list.dropped = std::min(list.dropped, pages);
    // A page that now is in part stays small where it is nothing else: it is expanded when it grows.
    for (size_t i = static_cast<size_t>(list.shrunk); i < list.small.pages.size(); ++i) {
      if (list.exact.pages[i] != nullptr) drop(list.small, i);
    }
  }
}

void KvCache::forget(int64_t id, int64_t tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Sequence& sequence = find(id);
  if (tokens < 0 || tokens > sequence.length) {
    fail(ErrorKind::kInvalidArgument, "sequence ", id, " has ", sequence.length, " tokens; it cannot forget ",
         tokens);
  }
  sequence.length -= tokens;
  cut(sequence);
}

void KvCache::close(int64_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Sequence& sequence = find(id);
  sequence.length = 0;
  cut(sequence);
  sequences_.erase(id);
}

int64_t KvCache::length(int64_t id) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return sequence(id).length;
}

void KvCache::trim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  pool_.trim();
}

int64_t KvCache::free_tokens() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t room = pool_.room() - exact_overhead() * full_bytes();
  return std::max<int64_t>(room, 0) / (has_small() ? small_bytes() : full_bytes()) * options_.page_tokens;
}

int64_t KvCache::used_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pool_.used();
}

int64_t KvCache::held_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pool_.held();
}

cached_attention::Head KvCache::head(const Sequence& sequence, int64_t layer, int64_t head) const {
  const Place& place = places_[static_cast<size_t>(layer)];
  return {.pages = sequence.groups[static_cast<size_t>(place.layer.group)].exact.data.data(),
          .offset = place.offset + head * place.layout.bytes,
          .page_tokens = options_.page_tokens,
          .layout = place.layout,
          .signs = place.signs.empty() ? nullptr : place.signs.data()};
}

cached_attention::Head KvCache::small_head(const Sequence& sequence, int64_t layer, int64_t head) const {
  const Place& place = places_[static_cast<size_t>(layer)];
  return {.pages = sequence.groups[static_cast<size_t>(place.layer.group)].small.data.data(),
          .offset = place.small_offset + head * place.small_layout.bytes,
          .page_tokens = options_.page_tokens,
          .layout = place.small_layout,
          .signs = place.signs.empty() ? nullptr : place.signs.data()};
}

std::pair<int64_t, int64_t> KvCache::small_tokens(const Sequence& sequence, int64_t layer,
                                                  int64_t seen) const {
  if (!has_small()) return {0, 0};
  const Place& place = places_[static_cast<size_t>(layer)];
  const PageList& list = sequence.groups[static_cast<size_t>(place.layer.group)];
  const int64_t end = std::max(list.dropped, small_pages(seen));
  return {first_small() * options_.page_tokens, end * options_.page_tokens};
}

std::pair<int64_t, int64_t> KvCache::pages_to_shrink(const PageList& list, int64_t seen) const {
  if (!has_small()) return {0, 0};
  return {std::max(list.shrunk, first_small()), small_pages(seen)};
}

std::pair<int64_t, int64_t> KvCache::pages_to_shrink(const Sequence& sequence, int64_t layer,
                                                     int64_t seen) const {
  const Place& place = places_[static_cast<size_t>(layer)];
  return pages_to_shrink(sequence.groups[static_cast<size_t>(place.layer.group)], seen);
}

void KvCache::check_layer(int64_t layer, int64_t key_heads, int64_t head_dim) const {
  if (layer >= 0 && layer < static_cast<int64_t>(places_.size())) {
    const CacheLayer& known = places_[static_cast<size_t>(layer)].layer;
    if (known.key_heads == key_heads && known.head_dim == head_dim) return;
  }
  fail(ErrorKind::kInvalidArgument, "attention layer ", layer, " with ", key_heads, " heads of keys of ",
       head_dim, " is not what the cache was made for; give the plan and the cache the same layers");
}

}  // namespace arrowmind::runtime
