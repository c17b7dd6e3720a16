// One micro-batch on its way: where it lies, what goes there, and its kernels one by one.

#include "runtime/on_device/device_forward.h"

#include <algorithm>
#include <cstddef>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

// What parameters of kernels over pages begin with; the two have the same members up to these.
using Paged = device::CacheWriteParameters;
static_assert(offsetof(Paged, page_tokens) == offsetof(device::CachedAttentionParameters, page_tokens) &&
              offsetof(Paged, value_scales) == offsetof(device::CachedAttentionParameters, value_scales));

// `begins`: whether a page is that of this layer alone.
void describe_pages(std::vector<std::byte>& parameters, const KvCache& cache, int64_t layer,
                    int64_t table_stride, bool begins) {
  Paged p;
  std::memcpy(&p, parameters.data(), sizeof p);
  cache.check_layer(layer, p.key_heads, p.head_dim);
  const KvCache::DeviceLayer at = cache.device_layer(layer);
  p.page_tokens = Lowering::word(cache.page_tokens());
  p.table_stride = Lowering::word(table_stride);
  p.format = static_cast<uint32_t>(at.layout.format);  // device::PageFormat has the same order
  p.first_byte = Lowering::word(begins ? 0 : at.offset);
  p.head_bytes = Lowering::word(at.layout.bytes);
  p.values = Lowering::word(at.layout.values);
  p.key_scales = Lowering::word(at.layout.key_scales);
  p.value_scales = Lowering::word(at.layout.value_scales);
  std::memcpy(parameters.data(), &p, sizeof p);
}

// Parameters with the numbers of a micro-batch.
std::vector<std::byte> filled_in(const Step& step, int64_t rows, int64_t sequences, bool normalise) {
  std::vector<std::byte> parameters = step.parameters;
  const uint32_t numbers[] = {static_cast<uint32_t>(rows), static_cast<uint32_t>(sequences)};
  std::memcpy(parameters.data(), numbers, sizeof numbers);
  if (step.normalises && normalise) {
    const uint32_t flags = device::kNormalise;
    std::memcpy(parameters.data() + offsetof(device::PoolParameters, flags), &flags, sizeof flags);
  }
  return parameters;
}

}  // namespace

DevicePlan::Layout DevicePlan::lay_out(int64_t rows, int64_t sequences) const {
  Layout at;
  at.rows = round_up(std::max<int64_t>(rows, 1), kRowRound);
  const auto take = [&at](int64_t bytes) {
    const int64_t offset = at.bytes;
    at.bytes = round_up(at.bytes + bytes, 256);
    return offset;
  };
  take(plan_.scratch_bytes(at.rows));
  at.numbers = take(4 * (4 * at.rows + round_up(sequences + 1, kRowRound)));
  at.looked = take(4 * (sequences + 1));
  if (plan_.source() >= 0) at.source = take(4 * at.rows * plan_.columns(plan_.source()));
  const int64_t result_rows = plan_.gives_tokens() ? at.rows : sequences;
  at.spare = take(lowering_.spare_bytes() * at.rows);
  at.result = take(4 * result_rows * plan_.limits().output_columns);
  return at;
}

// A table for each group of layers, one behind the other.
void DevicePlan::lay_out_tables(Layout& at, const CacheRun& cache, const Batch& batch, Range range) const {
  for (int64_t s = range.begin; s < range.end; ++s) {
    const KvCache::Sequence& one = *cache.sequences[static_cast<size_t>(s)];
    const int64_t tokens = one.length + batch.offsets[s + 1] - batch.offsets[s];
    at.table_stride = std::max(at.table_stride, ceil_div(tokens, cache.cache->page_tokens()));
  }
  at.tables = at.bytes;
  at.table_bytes = round_up(4 * at.table_stride * (range.end - range.begin), 256);
  at.bytes += at.table_bytes * cache.cache->groups();
}

// The numbers lie one behind the other: ids, positions, sequences and places of rows, then offsets.
void DevicePlan::copy_in(const Forward& f, const Batch& batch, Range range, const RunOptions& options) const {
  const int32_t first = batch.offsets[range.begin];
  std::vector<int32_t>& numbers = f.context.numbers;
  numbers.assign(static_cast<size_t>(4 * f.at.rows + f.sequences + 1), 0);
  int32_t *ids = numbers.data(), *positions = ids + f.at.rows, *sequence_of = positions + f.at.rows;
  int32_t *places = sequence_of + f.at.rows, *offsets = places + f.at.rows;
  if (batch.token_ids != nullptr) std::copy_n(batch.token_ids + first, f.rows, ids);
  for (int64_t s = 0; s < f.sequences; ++s) {
    const int32_t begin = batch.offsets[range.begin + s] - first,
                  end = batch.offsets[range.begin + s + 1] - first;
    offsets[s + 1] = end;
    const KvCache::Sequence* before =
        f.cache == nullptr ? nullptr : f.cache->sequences[static_cast<size_t>(range.begin + s)];
    for (int32_t row = begin; row < end; ++row) {
      positions[row] = row - begin + (before == nullptr ? 0 : static_cast<int32_t>(before->position()));
      places[row] = row - begin + (before == nullptr ? 0 : static_cast<int32_t>(before->length));
      sequence_of[row] = static_cast<int32_t>(s);
    }
  }
  device::Stream& stream = f.context.stream;
  stream.copy_in({&f.memory, f.at.numbers}, numbers.data(), static_cast<int64_t>(numbers.size()) * 4);
  if (f.cache != nullptr) passes() ? copy_in_order(f, batch, range) : copy_in_tables(f, range);
  if (f.looked != nullptr) copy_in_looked(f, range);
  if (options.rows == nullptr) return;
  const int64_t columns = plan_.columns(plan_.source());
  stream.copy_in({&f.memory, f.at.source}, options.rows + first * columns, 4 * f.rows * columns);
}

void DevicePlan::copy_in_tables(const Forward& f, Range range) const {
  const DevicePages& pages = *f.cache->cache->on_device();
  const int64_t words = f.at.table_bytes / 4;
  std::vector<uint32_t>& tables = f.context.tables;
  tables.assign(static_cast<size_t>(words * f.cache->cache->groups()), 0);
  for (int64_t group = 0; group < f.cache->cache->groups(); ++group) {
    for (int64_t s = range.begin; s < range.end; ++s) {
      uint32_t* row = tables.data() + group * words + (s - range.begin) * f.at.table_stride;
      const KvCache::Sequence& one = *f.cache->sequences[static_cast<size_t>(s)];
      const std::vector<Page*>& of = one.groups[static_cast<size_t>(group)].exact.pages;
      const auto count = std::min(of.size(), static_cast<size_t>(f.at.table_stride));
      for (size_t i = 0; i < count; ++i) row[i] = pages.word(of[i]->kind, of[i]->slot);
    }
  }
  f.context.stream.copy_in({&f.memory, f.at.tables}, tables.data(), static_cast<int64_t>(tables.size()) * 4);
}

void DevicePlan::copy_in_looked(const Forward& f, Range range) const {
  std::vector<int32_t>& looked = f.context.looked;
  looked.assign(f.looked->offsets + range.begin, f.looked->offsets + range.end + 1);
  f.context.stream.copy_in({&f.memory, f.at.looked}, looked.data(), static_cast<int64_t>(looked.size()) * 4);
}

void DevicePlan::run_steps(const Forward& f, const RunOptions& options) const {
  f.context.filled.resize(launches_.size());
  for (size_t i = 0; i < launches_.size(); i += span_of(i)) {
    if (f.has(lowering_.steps()[i])) run_step(f, i, options);
  }
}

// With an event before each step and behind the last.
void DevicePlan::run_measured(const Forward& f, const RunOptions& options,
                              std::vector<device::Event>& marks) const {
  const auto mark = [&] {
    marks.push_back(device_->event());
    f.context.stream.record(marks.back());
  };
  f.context.filled.resize(launches_.size());
  mark();
  for (size_t i = 0; i < launches_.size(); i += span_of(i)) {
    if (!f.has(lowering_.steps()[i])) continue;
    run_step(f, i, options);
    mark();
  }
}

void DevicePlan::run_step(const Forward& f, size_t i, const RunOptions& options) const {
  const Step& step = lowering_.steps()[i];
  if (step.here != nullptr) return run_here(f, i);
  if (step.routed.experts > 0) return run_experts(f, i);
  if (!step.fill) return launch(f, step, launches_[i], options.normalise);
  std::vector<float>& rows = f.context.filled[i];
  rows.resize(static_cast<size_t>(f.rows * plan_.columns(step.places[0].id)));
  step.fill(f.context.numbers.data() + f.at.rows, f.rows, rows.data());
  f.context.stream.copy_in(slice(f, step.places[0], {}), rows.data(), static_cast<int64_t>(rows.size()) * 4);
}

device::Grid DevicePlan::grid_of(const Kernel& kernel, const std::array<int64_t, 3>& work) {
  device::Grid grid;
  for (size_t i = 0; i < 3; ++i) {
    grid.groups[i] = static_cast<uint32_t>(ceil_div(work[i], int64_t{kernel.shape.tile[i]}));
    grid.threads[i] = kernel.shape.threads[i];
  }
  grid.shared_bytes = kernel.shape.shared_bytes;
  return grid;
}

void DevicePlan::launch(const Forward& f, const Step& step, const Launch& launch, bool normalise) const {
  const Kernel& kernel = f.rows <= device::kFewRows ? launch.few : launch.kernel;
  const device::Grid grid =
      grid_of(kernel, {step.work.x, step.work.per_sequence ? f.sequences : f.rows, step.work.z});
  std::vector<device::Slice> slices;
  for (size_t i = 0; i < step.places.size(); ++i) {
    slices.push_back(slice(f, step.places[i], launch.constants[i]));
  }
  std::vector<std::byte> parameters = filled_in(step, f.rows, f.sequences, normalise);
  if (step.layer >= 0) describe_pages(parameters, *f.cache->cache, step.layer, f.at.table_stride, passes());
  if (step.looked_columns > 0) {
    const uint32_t columns = Lowering::word(f.looked->columns);
    std::memcpy(parameters.data() + offsetof(device::CrossAttentionParameters, looked_stride), &columns,
                sizeof columns);
  }
  f.context.stream.launch(kernel.number, grid, slices, parameters);
}

device::Slice DevicePlan::page_slice(const Forward& f, const Place& place) const {
  if (passes()) {
    return {&f.memory, place.kind == Place::Kind::kPages   ? f.at.staged
                       : place.kind == Place::Kind::kTable ? f.at.tables
                                                           : f.at.signs};
  }
  const DevicePages& pages = *f.cache->cache->on_device();
  const KvCache::DeviceLayer layer = f.cache->cache->device_layer(place.id);
  if (place.kind == Place::Kind::kPages) return {&pages.buffer(layer.group), 0};
  if (place.kind == Place::Kind::kTable) return {&f.memory, f.at.tables + layer.group * f.at.table_bytes};
  return {&pages.constants(), std::max<int64_t>(layer.signs_offset, 0)};
}

device::Slice DevicePlan::slice(const Forward& f, const Place& place, const device::Slice& constant) const {
  const auto in = [&](int64_t offset) { return device::Slice{&f.memory, offset}; };
  using Kind = Place::Kind;
  switch (place.kind) {
    case Kind::kConstant:
      return constant;
    case Kind::kTokenIds:
      return in(f.at.numbers);
    case Kind::kPositions:
      return in(f.at.numbers + 4 * f.at.rows);
    case Kind::kSequenceOf:
      return in(f.at.numbers + 8 * f.at.rows);
    case Kind::kOffsets:
      return in(f.at.numbers + 16 * f.at.rows);
    case Kind::kPlaces:
      return in(f.at.numbers + 12 * f.at.rows);
    case Kind::kTable:
    case Kind::kPages:
    case Kind::kSigns:
      return page_slice(f, place);
    case Kind::kLooked:
      return {f.looked->there, 0};
    case Kind::kLookedOffsets:
      return in(f.at.looked);
    case Kind::kOutput:
      return in(f.at.result);
    case Kind::kSpare:
      return in(f.at.spare + place.row_bytes * f.at.rows);
    case Kind::kFrom:
      return f.from;
    case Kind::kTo:
      return f.to;
    case Kind::kNothing:
      return in(0);
    default:
      break;
  }
  if (place.id == plan_.result()) return in(f.at.result);
  if (place.id == plan_.source()) return in(f.at.source);
  const Plan::Offsets at = plan_.offsets(place.id, f.at.rows);
  return in(place.kind == Kind::kData    ? at.data
            : place.kind == Kind::kScale ? at.scale
            : place.kind == Kind::kSum   ? at.sum
                                         : at.zero);
}

}  // namespace arrowmind::runtime
