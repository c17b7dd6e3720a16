#include "runtime/cache/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kMaxPageTokens = 4096;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxLayers = 4096;
// Places of tokens are int32.
constexpr int64_t kMaxLength = INT32_MAX;

void check(const CacheOptions& options) {
  if (options.page_tokens < 16 || options.page_tokens > kMaxPageTokens || options.page_tokens % 16 != 0) {
    fail(ErrorKind::kInvalidArgument, "pages of ", options.page_tokens,
         " tokens; use a multiple of 16 up to ", kMaxPageTokens);
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

KvCache::KvCache(const std::vector<CacheLayer>& layers, CacheOptions options)
    : options_((check(options), options)), pool_((check(layers), lay_out(layers), make_pool())) {}

void KvCache::lay_out(const std::vector<CacheLayer>& layers) {
  for (const CacheLayer& layer : layers) {
    const size_t group = static_cast<size_t>(layer.group);
    if (group >= group_bytes_.size()) group_bytes_.resize(group + 1, 0);
    const cached_attention::Layout layout =
        cached_attention::layout(options_.format, options_.page_tokens, layer.head_dim);
    places_.push_back({layer, layout, group_bytes_[group]});
    group_bytes_[group] += layer.key_heads * layout.bytes;
  }
  if (std::find(group_bytes_.begin(), group_bytes_.end(), 0) != group_bytes_.end()) {
    fail(ErrorKind::kInvalidArgument, "a group of cached layers is empty; number them from 0 without gaps");
  }
}

PagePool KvCache::make_pool() const {
  int64_t page = 0;
  for (const int64_t bytes : group_bytes_) page += bytes;
  int64_t bound = 0;
  if (!checked_mul(ceil_div(options_.max_tokens, options_.page_tokens), page, &bound)) {
    fail(ErrorKind::kInvalidArgument, "a cache for ", options_.max_tokens, " tokens of ",
         page / options_.page_tokens, " bytes each is larger than any memory; use fewer");
  }
  return PagePool(group_bytes_, bound);
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

int64_t KvCache::start() {
  const std::lock_guard<std::mutex> lock(mutex_);
  sequences_[next_].groups.resize(group_bytes_.size());
  return next_++;
}

int64_t KvCache::fork(int64_t id, int64_t tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Sequence& source = sequence(id);
  if (tokens < 0 || tokens > source.length) {
    fail(ErrorKind::kInvalidArgument, "a fork of ", tokens, " tokens of sequence ", id, ", which has ",
         source.length);
  }
  Sequence made;
  made.length = tokens;
  const auto pages = static_cast<std::ptrdiff_t>(pages_of(tokens));
  for (const PageList& list : source.groups) {
    made.groups.push_back(
        {{list.pages.begin(), list.pages.begin() + pages}, {list.data.begin(), list.data.begin() + pages}});
  }
  sequences_.emplace(next_, made);
  for (const PageList& list : made.groups) {
    for (Page* page : list.pages) pool_.share(page);
  }
  return next_++;
}

// Drops the pages behind the last token.
void KvCache::cut(Sequence& sequence) {
  const size_t pages = static_cast<size_t>(pages_of(sequence.length));
  for (PageList& list : sequence.groups) {
    while (list.pages.size() > pages) {
      pool_.drop(list.pages.back());
      list.pages.pop_back();
      list.data.pop_back();
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
  int64_t page = 0;
  for (const int64_t bytes : group_bytes_) page += bytes;
  return pool_.room() / page * options_.page_tokens;
}

int64_t KvCache::used_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pool_.used();
}

int64_t KvCache::held_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pool_.held();
}

void KvCache::reserve(const std::vector<Growth>& growth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  prepare(growth);
}

// Whether the next token falls into a page that others read as well.
bool KvCache::must_copy(const Sequence& sequence, size_t group) const {
  const size_t page = static_cast<size_t>(sequence.length / options_.page_tokens);
  const std::vector<Page*>& pages = sequence.groups[group].pages;
  return page < pages.size() && pages[page]->owners > 1;
}

int64_t KvCache::bytes_needed(const Growth& growth) const {
  const Sequence& one = sequence(growth.sequence);
  if (growth.tokens < 0 || growth.tokens > kMaxLength - one.length) {
    fail(ErrorKind::kInvalidArgument, growth.tokens, " tokens for sequence ", growth.sequence, " of ",
         one.length, "; a sequence has at most ", kMaxLength);
  }
  int64_t bytes = 0;
  for (size_t group = 0; group < group_bytes_.size(); ++group) {
    const int64_t have = static_cast<int64_t>(one.groups[group].pages.size());
    const int64_t missing = std::max<int64_t>(0, pages_of(one.length + growth.tokens) - have);
    bytes += (missing + (must_copy(one, group) ? 1 : 0)) * group_bytes_[group];
  }
  return bytes;
}

void KvCache::prepare(const std::vector<Growth>& growth) {
  std::set<int64_t> seen;
  int64_t bytes = 0;
  int64_t tokens = 0;
  for (const Growth& one : growth) {
    if (!seen.insert(one.sequence).second) {
      fail(ErrorKind::kInvalidArgument, "sequence ", one.sequence,
           " stands in the batch twice; join its tokens");
    }
    bytes += bytes_needed(one);
    tokens += one.tokens;
  }
  if (bytes > pool_.room()) {
    fail(ErrorKind::kCacheFull, "the key-value cache has ", pool_.room(), " of its ", pool_.bound(),
         " bytes left; ", tokens, " tokens need ", bytes,
         ": close or shorten sequences, or give the cache more tokens (max_tokens)");
  }
  for (const Growth& one : growth) grow(find(one.sequence), one.tokens);
}

void KvCache::grow(Sequence& sequence, int64_t tokens) {
  const size_t pages = static_cast<size_t>(pages_of(sequence.length + tokens));
  for (size_t group = 0; group < group_bytes_.size(); ++group) {
    PageList& list = sequence.groups[group];
    if (must_copy(sequence, group)) own_last(list);
    list.pages.reserve(pages);
    list.data.reserve(pages);
    while (list.pages.size() < pages) {
      Page* page = pool_.take(static_cast<int32_t>(group));
      list.pages.push_back(page);
      list.data.push_back(page->memory.as<char>());
    }
  }
}

// The last page becomes a copy of its own.
void KvCache::own_last(PageList& list) {
  Page* shared = list.pages.back();
  Page* own = pool_.take(shared->kind);
  std::memcpy(own->memory.as<char>(), shared->memory.as<char>(),
              static_cast<size_t>(pool_.size_of(shared->kind)));
  pool_.drop(shared);
  list.pages.back() = own;
  list.data.back() = own->memory.as<char>();
}

void KvCache::commit(const std::vector<Growth>& growth) {
  for (const Growth& one : growth) find(one.sequence).length += one.tokens;
}

cached_attention::Head KvCache::head(const Sequence& sequence, int64_t layer, int64_t head) const {
  const Place& place = places_[static_cast<size_t>(layer)];
  return {.pages = sequence.groups[static_cast<size_t>(place.layer.group)].data.data(),
          .offset = place.offset + head * place.layout.bytes,
          .page_tokens = options_.page_tokens,
          .layout = place.layout};
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
