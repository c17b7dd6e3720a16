// A forward over blocks that stay with the host: their weights pass through two places, and of each layer the
// keys and values that it reads are copied there, those that it wrote back.

#include <algorithm>

#include "base/checked.h"
#include "runtime/on_device/device_tables.h"

namespace arrowmind::runtime {
namespace {

int64_t pages_of(int64_t tokens, const KvCache& cache) {
  return ceil_div(tokens, cache.page_tokens());
}

// The first step of a block, from `i` on; all are behind it at the end.
size_t next_border(const std::vector<Step>& steps, size_t i) {
  while (i < steps.size() && !steps[i].is_border) ++i;
  return i;
}

}  // namespace

void DevicePlan::check_host_pages(const KvCache& cache) const {
  if (cache.on_device() != nullptr) refuse("the pages of blocks that pass through it lie on a device");
}

// One table serves all layers: a page of a layer is as large as that of the largest.
void DevicePlan::lay_out_staged(Layout& at, const CacheRun& cache, const Batch& batch, Range range) const {
  const KvCache& of = *cache.cache;
  lay_out_tables(at, cache, batch, range);
  for (int64_t layer = 0; layer < of.layers(); ++layer) {
    at.staged_bytes = std::max(at.staged_bytes, of.device_layer(layer).bytes());
    at.staged_small_bytes = std::max(at.staged_small_bytes, of.device_layer(layer).small_bytes());
  }
  int64_t full = 0, small = 0;
  for (int64_t s = range.begin; s < range.end; ++s) {
    const KvCache::Sequence& one = *cache.sequences[static_cast<size_t>(s)];
    const int64_t pages = pages_of(one.length + batch.offsets[s + 1] - batch.offsets[s], of);
    for (int64_t i = 0; i < pages; ++i) {
      full += one.groups[0].exact.has(static_cast<size_t>(i)) ? 1 : 0;
      small += one.groups[0].small.has(static_cast<size_t>(i)) ? 1 : 0;
    }
  }
  const auto take = [&at](int64_t bytes) {
    const int64_t offset = at.bytes;
    at.bytes = round_up(at.bytes + bytes, 256);
    return offset;
  };
  at.signs = take(4 * cached_attention::kMaxTurned);
  at.staged = take(full * at.staged_bytes);
  at.staged_small = take(std::max<int64_t>(small * at.staged_small_bytes, 64));  // something can be bound
}

// Pages lie in the order of their sequences.
void DevicePlan::put_order(const Forward& f, const Batch& batch, Range range) const {
  int64_t full = 0, small = 0;
  put_tables(f, batch, range, 1, [&](const Page&, bool is_small) {
    return Lowering::word((is_small ? small++ * f.at.staged_small_bytes : full++ * f.at.staged_bytes) / 4);
  });
}

// A layer's part of a page, on the host and there.
struct DevicePlan::StagedPage {
  char* here;
  device::Slice there;
  int64_t bytes;
  bool has_contents;  // before the forward
  bool is_written;    // by it
};

// copy(page) for the pages of a layer.
template <typename Copy>
void DevicePlan::each_staged(const Forward& f, const Batch& batch, Range range, int64_t layer,
                             const Copy& copy) const {
  const KvCache& cache = *f.cache->cache;
  const KvCache::DeviceLayer of = cache.device_layer(layer);
  int64_t place = f.at.staged, small_place = f.at.staged_small;
  for (int64_t s = range.begin; s < range.end; ++s) {
    const KvCache::Sequence& one = *f.cache->sequences[static_cast<size_t>(s)];
    const cached_attention::Head head = cache.head(one, layer, 0), small = cache.small_head(one, layer, 0);
    const int64_t seen = one.length + batch.offsets[s + 1] - batch.offsets[s];
    const auto [first, last] = cache.pages_to_shrink(one, layer, seen);
    for (int64_t i = 0; i < pages_of(seen, cache); ++i) {
      if (head.pages[i] != nullptr) {
        copy(StagedPage{.here = head.pages[i] + head.offset,
                        .there = {&f.memory, place},
                        .bytes = of.bytes(),
                        .has_contents = true,
                        .is_written = i >= one.length / cache.page_tokens()});
        place += f.at.staged_bytes;
      }
      if (small.pages[i] != nullptr) {
        copy(StagedPage{.here = small.pages[i] + small.offset,
                        .there = {&f.memory, small_place},
                        .bytes = of.small_bytes(),
                        .has_contents = i < first,
                        .is_written = i >= first && i < last});
        small_place += f.at.staged_small_bytes;
      }
    }
  }
}

void DevicePlan::stage(const Forward& f, const Batch& batch, Range range, int64_t layer) const {
  device::Stream& stream = f.context.stream;
  const KvCache::Sequence& first = *f.cache->sequences[static_cast<size_t>(range.begin)];
  const cached_attention::Head head = f.cache->cache->head(first, layer, 0);
  if (head.signs != nullptr) {
    const int64_t columns =
        f.cache->cache->key_columns(layer) / f.cache->cache->device_layer(layer).key_heads;
    stream.copy_in({&f.memory, f.at.signs}, head.signs, 4 * columns);
  }
  each_staged(f, batch, range, layer, [&](const StagedPage& page) {
    if (page.has_contents) stream.copy_in(page.there, page.here, page.bytes);
  });
}

void DevicePlan::bring_back(const Forward& f, const Batch& batch, Range range, int64_t layer) const {
  each_staged(f, batch, range, layer, [&](const StagedPage& page) {
    if (page.is_written) f.context.stream.copy_out(page.here, page.there, page.bytes);
  });
}

// The next block is sent once this one is submitted, and what this one wrote is asked for behind that: the
// host waits for the bus while the device computes.
void DevicePlan::run_passing(const Forward& f, const Batch& batch, Range range,
                             const RunOptions& options) const {
  const std::vector<Step>& steps = lowering_.steps();
  device::Stream& stream = f.context.stream;
  const auto run = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i += span_of(i)) {
      if (f.has(steps[i])) run_step(f, i, options);
    }
  };
  try {
    size_t begin = next_border(steps, 0);
    run(0, begin);
    if (passing_->blocks() > 0) passing_->send(0);
    for (size_t block = 0; block < passing_->blocks(); ++block) {
      const size_t end = next_border(steps, begin + 1);
      const auto step = std::find_if(steps.begin() + static_cast<ptrdiff_t>(begin),
                                     steps.begin() + static_cast<ptrdiff_t>(end),
                                     [&](const Step& one) { return one.layer >= 0 && f.has(one); });
      const int64_t layer = step - steps.begin() < static_cast<ptrdiff_t>(end) ? step->layer : -1;
      if (layer >= 0) stage(f, batch, range, layer);
      passing_->expect(block, stream);
      run(begin, end);
      passing_->done(block, stream);
      if (block + 1 < passing_->blocks()) passing_->send(block + 1);
      if (layer >= 0) bring_back(f, batch, range, layer);
      begin = end;
    }
  } catch (...) {
    passing_->stop();
    throw;
  }
}

}  // namespace arrowmind::runtime
