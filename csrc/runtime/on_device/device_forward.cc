// One micro-batch on its way: where it lies, what goes there, and its kernels one by one.

#include "runtime/on_device/device_forward.h"

#include <algorithm>
#include <cstddef>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

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

// What a step is told of the rows of a forward.
struct GroupedRows {
  int64_t rows, work;  // as its parameters have it; items of the second direction
  bool are_few;
  uint32_t tile = 0;
};

GroupedRows rows_of(const Grouped& grouped, int64_t rows) {
  using Over = Grouped::Over;
  if (grouped.over == Over::kNone) return {rows, rows, rows <= device::kFewRows};
  const int64_t pairs = rows * grouped.top;
  // As many as there are of an expert on the average; more become tiles more.
  const bool are_few = pairs <= device::kFewRows * grouped.experts;
  const uint32_t tile = are_few ? device::kFewRows : device::kGroupedRows;
  if (grouped.over == Over::kSort) return {rows, std::min<int64_t>(rows, 1), are_few, tile};
  if (grouped.over == Over::kPairs) return {pairs, pairs, are_few, tile};
  const int64_t tiles = device::most_tiles(Lowering::word(pairs), Lowering::word(grouped.experts), tile);
  return {tiles, tiles, are_few, tile};
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
  if (plan_.source() >= 0) at.source = take(4 * at.rows * plan_.columns(plan_.source()));
  const int64_t result_rows = plan_.gives_tokens() ? at.rows : sequences;
  at.spare = take(lowering_.spare_bytes() * at.rows);
  if (rounds_rows(rows)) at.rounded = take(2 * rounded_columns_ * at.rows);
  at.result = take(4 * result_rows * plan_.limits().output_columns);
  at.numbers = take(4 * (4 * at.rows + round_up(sequences + 1, kRowRound)));
  at.looked = take(4 * (sequences + 1));
  at.filled = take(filled_bytes_ * at.rows);
  at.inputs_end = at.bytes;
  return at;
}

// Buffers grow with rows and with nothing else, so that halving finds the most.
int64_t DevicePlan::most_rows(int64_t bytes) const {
  int64_t fit = 1, beyond = kMostRows / kRowRound + 1;
  while (beyond - fit > 1) {
    const int64_t middle = (fit + beyond) / 2, rows = middle * kRowRound;
    (lay_out(rows, rows).bytes <= bytes ? fit : beyond) = middle;
  }
  return fit * kRowRound;
}

// Everything that changes from forward to forward in one copy.
void DevicePlan::copy_in(const Forward& f, const Batch& batch, Range range, const RunOptions& options) const {
  std::vector<std::byte>& inputs = f.context.inputs;
  inputs.assign(static_cast<size_t>(f.at.inputs_end - f.at.numbers), std::byte{0});
  put_numbers(f, batch, range);
  put_filled(f);
  if (f.cache != nullptr) passes() ? put_order(f, batch, range) : put_places(f, batch, range);
  if (f.looked != nullptr) {
    std::copy(f.looked->offsets + range.begin, f.looked->offsets + range.end + 1,
              f.input<int32_t>(f.at.looked));
  }
  device::Stream& stream = f.context.stream;
  stream.copy_in({&f.memory, f.at.numbers}, inputs.data(), static_cast<int64_t>(inputs.size()));
  if (options.rows == nullptr) return;
  const int64_t columns = plan_.columns(plan_.source());
  stream.copy_in({&f.memory, f.at.source}, options.rows + batch.offsets[range.begin] * columns,
                 4 * f.rows * columns);
}

// They lie one behind the other: ids, positions, sequences and places of rows, then offsets.
void DevicePlan::put_numbers(const Forward& f, const Batch& batch, Range range) const {
  const int32_t first = batch.offsets[range.begin];
  auto* ids = f.input<int32_t>(f.at.numbers);
  int32_t *positions = ids + f.at.rows, *sequence_of = positions + f.at.rows;
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
}

// Each buffer that the host fills has a place of its own, as no kernel writes there.
void DevicePlan::put_filled(const Forward& f) const {
  const int32_t* positions = f.input<int32_t>(f.at.numbers) + f.at.rows;
  for (const Step& step : lowering_.steps()) {
    if (!step.fill) continue;
    step.fill(positions, f.rows, f.input<float>(f.at.filled + filled_.at(step.places[0].id) * f.at.rows));
  }
}

void DevicePlan::run_each(const Forward& f, const RunOptions& options) const {
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
  launch(f, step, launches_[i], options.normalise);
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

std::array<int64_t, 3> DevicePlan::work_of(const Forward& f, const Step& step) const {
  if (step.paged == Step::Paged::kShrink) return shrink_work(f, step);
  return {step.work.x, step.work.per_sequence ? f.sequences : rows_of(step.grouped, f.rows).work,
          step.work.z};
}

const DevicePlan::Kernel& DevicePlan::choose(const Forward& f, const Step& step, const Launch& launch) const {
  if (launch.wide && !launch.kernel.name.starts_with("linear_")) {
    return f.rows >= f.sequences * device::kRowsTogether ? *launch.wide : launch.kernel;
  }
  if (rows_of(step.grouped, f.rows).are_few) return launch.few;
  if (!launch.wide) return launch.kernel;
  const device::Grid grid = grid_of(*launch.wide, work_of(f, step));
  const uint64_t groups = uint64_t{grid.groups[0]} * grid.groups[1];
  if (groups < device::kWideGroups) return launch.kernel;
  return launch.wgmma && rounds_rows(f.rows) ? *launch.wgmma : *launch.wide;
}

void DevicePlan::launch(const Forward& f, const Step& step, const Launch& launch, bool normalise) const {
  const GroupedRows grouped = rows_of(step.grouped, f.rows);
  const std::array<int64_t, 3> work = work_of(f, step);
  if (work[1] == 0) return;
  const Kernel& kernel = choose(f, step, launch);
  const device::Grid grid = grid_of(kernel, work);
  std::vector<device::Slice> slices;
  for (size_t i = 0; i < step.places.size(); ++i) {
    slices.push_back(slice(f, step.places[i], launch.constants[i]));
  }
  if (launch.wgmma && &kernel == &*launch.wgmma) slices[1] = round_rows(f, step, slices[0]);
  std::vector<std::byte> parameters = filled_in(step, grouped.rows, f.sequences, normalise);
  if (step.grouped.over == Grouped::Over::kSort) {
    std::memcpy(parameters.data() + offsetof(device::GroupRowsParameters, tile), &grouped.tile,
                sizeof grouped.tile);
  }
  if (step.layer >= 0) describe_pages(f, step, parameters);
  if (step.looked_columns > 0) {
    const uint32_t columns = Lowering::word(f.looked->columns);
    std::memcpy(parameters.data() + offsetof(device::CrossAttentionParameters, looked_stride), &columns,
                sizeof columns);
  }
  if (f.list != nullptr) return f.list->add(kernel.number, grid, slices, parameters);
  f.context.stream.launch(kernel.number, grid, slices, parameters);
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
    case Kind::kSmallPages:
    case Kind::kShrinks:
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
  if (const auto found = filled_.find(place.id); found != filled_.end()) {
    return in(f.at.filled + found->second * f.at.rows);
  }
  const Plan::Offsets at = plan_.offsets(place.id, f.at.rows);
  return in(place.kind == Kind::kData    ? at.data + place.row_bytes * f.at.rows
            : place.kind == Kind::kScale ? at.scale
            : place.kind == Kind::kSum   ? at.sum
                                         : at.zero);
}

}  // namespace arrowmind::runtime
