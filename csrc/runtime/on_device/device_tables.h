#pragma once

// Tables of the pages that a forward reads. Included by the parts of DevicePlan alone.

#include <algorithm>

#include "base/checked.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {

// word(page, is small): where a page begins in its buffer, in words. Pages become small in all groups of
// layers at once; of pages that pass, all layers share the table of the first.
template <typename Word>
void DevicePlan::put_tables(const Forward& f, const Batch& batch, Range range, int64_t groups,
                            const Word& word) const {
  const KvCache& cache = *f.cache->cache;
  const int64_t words = f.at.table_bytes / 4, pairs = f.at.shrink_bytes / 4;
  auto *tables = f.input<uint32_t>(f.at.tables), *shrinks = f.input<uint32_t>(f.at.shrinks);
  std::fill_n(tables, words * groups, device::kNoPage);
  f.context.to_shrink.assign(static_cast<size_t>(groups), 0);
  for (int64_t group = 0; group < groups; ++group) {
    int64_t& count = f.context.to_shrink[static_cast<size_t>(group)];
    for (int64_t s = range.begin; s < range.end; ++s) {
      uint32_t* row = tables + group * words + (s - range.begin) * f.at.table_stride;
      const KvCache::Sequence& one = *f.cache->sequences[static_cast<size_t>(s)];
      const KvCache::PageList& list = one.groups[static_cast<size_t>(group)];
      const int64_t seen = one.length + batch.offsets[s + 1] - batch.offsets[s];
      const auto pages = static_cast<size_t>(ceil_div(seen, cache.page_tokens()));
      for (size_t i = 0; i < pages; ++i) {
        if (list.exact.has(i)) row[i] = word(*list.exact.pages[i], false);
        if (!list.small.has(i)) continue;
        row[static_cast<size_t>(f.at.small_table) + i] = word(*list.small.pages[i], true);
      }
      const auto [first, last] = cache.pages_to_shrink(list, seen);
      for (int64_t i = first; i < last; ++i) {
        uint32_t* pair = shrinks + group * pairs + 2 * count++;
        pair[0] = row[i];
        pair[1] = row[f.at.small_table + i];
      }
    }
  }
}

}  // namespace arrowmind::runtime
