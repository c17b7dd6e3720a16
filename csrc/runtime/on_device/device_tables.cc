// Where the pages of a cache lie: the tables of a forward, and what its kernels are told of them.

#include "runtime/on_device/device_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

device::PagePart part_of(const cached_attention::Layout& layout, int64_t first_byte) {
  return {.format = static_cast<uint32_t>(layout.format),  // device::PageFormat has the same order
          .first_byte = Lowering::word(first_byte),
          .head_bytes = Lowering::word(layout.bytes),
          .values = Lowering::word(layout.values),
          .key_scales = Lowering::word(layout.key_scales),
          .value_scales = Lowering::word(layout.value_scales)};
}

// Longer tables than are needed, an eighth at most, so that those of the next tokens are as long.
int64_t rounded_pages(int64_t pages) {
  const auto octave =
      static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(pages, 1))));
  return round_up(pages, std::max<int64_t>(octave / 8, 8));
}

template <typename Parameters, typename Body>
void change(std::vector<std::byte>& parameters, const Body& body) {
  Parameters p;
  std::memcpy(&p, parameters.data(), sizeof p);
  body(p);
  std::memcpy(parameters.data(), &p, sizeof p);
}

}  // namespace

void DevicePlan::lay_out_tables(Layout& at, const CacheRun& cache, const Batch& batch, Range range) const {
  const KvCache& of = *cache.cache;
  const int64_t sequences = range.end - range.begin;
  int64_t most = 0;  // pages of a group that become small
  std::vector<int64_t> shrinks(static_cast<size_t>(of.groups()), 0);
  for (int64_t s = range.begin; s < range.end; ++s) {
    const KvCache::Sequence& one = *cache.sequences[static_cast<size_t>(s)];
    const int64_t tokens = one.length + batch.offsets[s + 1] - batch.offsets[s];
    at.table_stride = std::max(at.table_stride, ceil_div(tokens, of.page_tokens()));
    for (size_t group = 0; group < shrinks.size(); ++group) {
      const auto [first, last] = of.pages_to_shrink(one.groups[group], tokens);
      shrinks[group] += std::max<int64_t>(last - first, 0);
      most = std::max(most, shrinks[group]);
    }
  }
  at.table_stride = rounded_pages(at.table_stride);
  const auto take = [&at](int64_t bytes) {
    const int64_t offset = at.bytes;
    at.bytes = round_up(at.bytes + bytes, 256);
    return offset;
  };
  at.small_table = of.has_small() ? at.table_stride * sequences : 0;
  at.table_bytes = round_up(4 * (at.table_stride * sequences + at.small_table), 256);
  at.tables = take(at.table_bytes * of.groups());
  at.shrink_bytes = round_up(8 * most, 256);
  at.shrinks = take(at.shrink_bytes * of.groups());
  at.inputs_end = at.bytes;
}

void DevicePlan::put_places(const Forward& f, const Batch& batch, Range range) const {
  const DevicePages& pages = *f.cache->cache->on_device();
  put_tables(f, batch, range, f.cache->cache->groups(),
             [&](const Page& page, bool) { return pages.word(page.kind, page.slot); });
}

std::array<int64_t, 3> DevicePlan::shrink_work(const Forward& f, const Step& step) const {
  const KvCache& cache = *f.cache->cache;
  const auto group = passes() ? 0 : static_cast<size_t>(cache.device_layer(step.layer).group);
  return {cache.page_tokens() / 16, f.context.to_shrink[group], step.work.z};
}

void DevicePlan::describe_pages(const Forward& f, const Step& step,
                                std::vector<std::byte>& parameters) const {
  const KvCache& cache = *f.cache->cache;
  const KvCache::DeviceLayer at = cache.device_layer(step.layer);
  // Pages that pass are those of this layer alone.
  const device::PagePart full = part_of(at.layout, passes() ? 0 : at.offset);
  const device::PagePart small =
      cache.has_small() ? part_of(at.small_layout, passes() ? 0 : at.small_offset) : device::PagePart{};
  const auto page_tokens = Lowering::word(cache.page_tokens());
  if (step.paged == Step::Paged::kShrink) {
    return change<device::CacheShrinkParameters>(parameters, [&](device::CacheShrinkParameters& p) {
      p.rows = Lowering::word(shrink_work(f, step)[1]);
      p.page_tokens = page_tokens;
      p.full = full;
      p.small = small;
    });
  }
  const auto describe = [&](auto& p) {
    cache.check_layer(step.layer, p.key_heads, p.head_dim);
    p.page_tokens = page_tokens;
    p.table_stride = Lowering::word(f.at.table_stride);
    p.turned = at.is_turned ? 1 : 0;
    p.full = full;
  };
  if (step.paged == Step::Paged::kWrite) {
    return change<device::CacheWriteParameters>(parameters, describe);
  }
  change<device::CachedAttentionParameters>(parameters, [&](device::CachedAttentionParameters& p) {
    describe(p);
    p.small = small;
    p.small_table = Lowering::word(f.at.small_table);
    p.first_small = Lowering::word(cache.first_small());
    p.recent = Lowering::word(cache.recent());
  });
}

device::Slice DevicePlan::page_slice(const Forward& f, const Place& place) const {
  using Kind = Place::Kind;
  const auto in = [&](int64_t offset) { return device::Slice{&f.memory, offset}; };
  if (passes()) {
    return in(place.kind == Kind::kPages        ? f.at.staged
              : place.kind == Kind::kSmallPages ? f.at.staged_small
              : place.kind == Kind::kShrinks    ? f.at.shrinks
              : place.kind == Kind::kTable      ? f.at.tables
                                                : f.at.signs);
  }
  const KvCache& cache = *f.cache->cache;
  const DevicePages& pages = *cache.on_device();
  const KvCache::DeviceLayer layer = cache.device_layer(place.id);
  switch (place.kind) {
    case Kind::kPages:
      return {&pages.buffer(layer.group), 0};
    case Kind::kSmallPages: {
      const int kind = static_cast<int>(cache.groups()) + layer.group;
      // Before the first there is nothing to look at.
      return cache.has_small() && pages.has_pages(kind) ? device::Slice{&pages.buffer(kind), 0} : in(0);
    }
    case Kind::kShrinks:
      return in(f.at.shrinks + layer.group * f.at.shrink_bytes);
    case Kind::kTable:
      return in(f.at.tables + layer.group * f.at.table_bytes);
    default:
      return {&pages.constants(), std::max<int64_t>(layer.signs_offset, 0)};
  }
}

}  // namespace arrowmind::runtime
