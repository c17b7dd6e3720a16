// What a cache gains: pages for tokens that come, and those of which pages become small.

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::runtime {
namespace {

// Pages of [begin, end) that are not there.
int64_t absent(const KvCache::Pages& pages, int64_t begin, int64_t end) {
  int64_t count = 0;
  for (int64_t i = begin; i < end; ++i) count += pages.has(static_cast<size_t>(i)) ? 0 : 1;
  return count;
}

}  // namespace

// Pages from the first on that a token sees small which sees `seen` tokens.
int64_t KvCache::small_pages(int64_t seen) const {
  return has_small() && seen > options_.recent ? (seen - options_.recent) / options_.page_tokens : 0;
}

// The page that the next token falls into, where it is there already.
Page* KvCache::open_page(const PageList& list, int64_t length) const {
  const size_t page = static_cast<size_t>(length / options_.page_tokens);
  return page < list.exact.pages.size() ? list.exact.pages[page] : nullptr;
}

// Whether it must be made anew before it is written: others read it as well, or it is small only.
bool KvCache::must_renew(const PageList& list, int64_t length) const {
  if (length % options_.page_tokens == 0) return false;
  const Page* page = open_page(list, length);
  return page == nullptr || page->owners > 1;
}

KvCache::Need KvCache::need(const Growth& growth, bool at_once) const {
  const Sequence& one = sequence(growth.sequence);
  const int64_t after = one.length + growth.tokens;
  Need sum;
  for (size_t group = 0; group < group_bytes_.size(); ++group) {
    const PageList& list = one.groups[group];
    int64_t pages = absent(list.exact, pages_of(one.length), pages_of(after));
    if (!at_once && has_small()) {
      const std::vector<Page*>& exact = list.exact.pages;
      const int64_t have =
          std::count_if(exact.begin(), exact.end(), [](const Page* page) { return page != nullptr; });
      pages = std::max<int64_t>(std::min(pages, exact_overhead() - have), 0);
    }
    pages += must_renew(list, one.length) ? 1 : 0;
    sum.exact += pages * group_bytes_[group];
    if (!has_small()) continue;
    const int64_t small = absent(list.small, std::max(list.shrunk, first_small()), small_pages(after));
    sum.small += small * group_small_bytes_[group];
  }
  return sum;
}

void KvCache::check_growth(const std::vector<Growth>& growth) const {
  std::set<int64_t> seen;
  for (const Growth& one : growth) {
    if (!seen.insert(one.sequence).second) {
      fail(ErrorKind::kInvalidArgument, "sequence ", one.sequence,
           " stands in the batch twice; join its tokens");
    }
    const int64_t length = sequence(one.sequence).position();
    if (one.tokens < 0 || one.tokens > kMaxLength - length) {
      fail(ErrorKind::kInvalidArgument, one.tokens, " tokens for sequence ", one.sequence, " of ", length,
           "; a sequence has at most ", kMaxLength);
    }
  }
}

void KvCache::fail_full(int64_t tokens, int64_t bytes) const {
  fail(ErrorKind::kCacheFull, "the key-value cache has ", pool_.room(), " of its ", pool_.bound(),
       " bytes left; ", tokens, " tokens need ", bytes,
       ": close or shorten sequences, or give the cache more tokens (max_tokens)");
}

// Throws where there is no room for what `growth` needs, see need().
void KvCache::check_room(const std::vector<Growth>& growth, bool at_once) const {
  int64_t bytes = 0;
  int64_t tokens = 0;
  for (const Growth& one : growth) {
    const Need sum = need(one, at_once);
    bytes += sum.exact + sum.small;
    tokens += one.tokens;
  }
  if (bytes > pool_.room()) fail_full(tokens, bytes);
}

void KvCache::reserve(const std::vector<Growth>& growth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!has_small()) return prepare(growth);
  // Float16 pages of these tokens come and go: what is taken is taken by each forward.
  check_growth(growth);
  check_room(growth, false);
}

void KvCache::prepare(const std::vector<Growth>& growth) {
  check_growth(growth);
  check_room(growth, true);
  for (const Growth& one : growth) grow(find(one.sequence), one.tokens);
}

void KvCache::grow(Sequence& sequence, int64_t tokens) {
  const int64_t after = sequence.length + tokens;
  const size_t pages = static_cast<size_t>(pages_of(after));
  for (size_t group = 0; group < group_bytes_.size(); ++group) {
    PageList& list = sequence.groups[group];
    if (tokens > 0 && must_renew(list, sequence.length)) renew_last(list, group, sequence.length);
    // A device may fail to give a page: no place is without one.
    for (size_t i = static_cast<size_t>(pages_of(sequence.length)); i < pages; ++i) {
      if (list.exact.has(i)) continue;
      Page* page = pool_.take(static_cast<int32_t>(group));
      if (i >= list.exact.pages.size()) {
        list.exact.resize(i + 1);
        list.small.resize(i + 1);
      }
      list.exact.put(i, page);
    }
    for (int64_t i = std::max(list.shrunk, first_small()); i < small_pages(after); ++i) {
      const size_t place = static_cast<size_t>(i);
      if (list.small.pages[place] != nullptr) continue;
      list.small.put(place, pool_.take(static_cast<int32_t>(group_bytes_.size() + group)));
    }
  }
}

// The page that is written next becomes this sequence's own, in full.
void KvCache::renew_last(PageList& list, size_t group, int64_t length) {
  const int64_t page = length / options_.page_tokens;
  const size_t place = static_cast<size_t>(page);
  Page* own = pool_.take(static_cast<int32_t>(group));
  Page *shared = list.exact.pages[place], *small = list.small.pages[place];
  try {
    if (shared != nullptr) {
      pool_.copy(shared, own);
    } else if (small != nullptr) {
      expand(small, group, own);
    }
  } catch (...) {
    pool_.drop(own);
    throw;
  }
  if (shared == nullptr) list.dropped = std::min(list.dropped, page);
  drop(list.exact, place);
  drop(list.small, place);
  list.exact.put(place, own);
}

// What a small page stands for, in full. On the CPU, wherever they are: it is rare.
void KvCache::expand(Page* small, size_t group, Page* to) {
  const int64_t bytes = pool_.size_of(to->kind);
  AlignedBuffer codes(pool_.size_of(small->kind)), rows(bytes);
  pool_.read(small, codes.as<char>());
  pool_.wait();
  std::memset(rows.as<void>(), 0, static_cast<size_t>(bytes));
  for (const Place& place : places_) {
    if (place.layer.group != static_cast<int64_t>(group)) continue;
    for (int64_t head = 0; head < place.layer.key_heads; ++head) {
      cached_attention::select().expand(
          {.from = rows.as<char>() + place.offset + head * place.layout.bytes,
           .to = codes.as<char>() + place.small_offset + head * place.small_layout.bytes,
           .exact = place.layout,
           .small = place.small_layout,
           .page_tokens = options_.page_tokens,
           .head_dim = place.layer.head_dim});
    }
  }
  pool_.write(to, rows.as<char>());
  pool_.wait();
}

// Pages in full that are small and seen small by all that may follow, some forgetting included.
void KvCache::drop_exact(PageList& list, int64_t length) {
  const int64_t end = small_pages(length - options_.page_tokens);
  for (int64_t i = std::max(list.dropped, first_small()); i < end; ++i) {
    drop(list.exact, static_cast<size_t>(i));
    list.dropped = i + 1;
  }
}

void KvCache::commit(const std::vector<Growth>& growth) {
  for (const Growth& one : growth) {
    Sequence& sequence = find(one.sequence);
    sequence.length += one.tokens;
    for (PageList& list : sequence.groups) {
      list.shrunk = std::max(list.shrunk, small_pages(sequence.length));
      drop_exact(list, sequence.length);
    }
  }
}

}  // namespace arrowmind::runtime
