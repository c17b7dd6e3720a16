// What a forward on a device gives: to the host, or to rows of memory that stay there.

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {
namespace {

void check_places(std::span<const int32_t> places, int64_t results, const SharedRows& output) {
  if (static_cast<int64_t>(places.size()) != results) {
    fail(ErrorKind::kInvalidArgument, places.size(), " places for ", results, " rows of results");
  }
  std::vector<bool> is_taken(static_cast<size_t>(output.rows()));
  for (const int32_t place : places) {
    if (place < 0 || place >= output.rows() || is_taken[static_cast<size_t>(place)]) {
      fail(ErrorKind::kInvalidArgument, "row ", place, " of ", output.rows(), " is none, or taken twice");
    }
    is_taken[static_cast<size_t>(place)] = true;
  }
}

void check_whole(const Candidates& wanted, int64_t results, int64_t columns) {
  int64_t next = 0;
  for (const int32_t row : wanted.whole) {
    if (row < next || row >= results) {
      fail(ErrorKind::kInvalidArgument, "row ", row, " of ", results,
           " is none, or not behind the one before");
    }
    next = row + 1;
  }
  if (wanted.whole_rows.size() != wanted.whole.size() * static_cast<size_t>(columns)) {
    fail(ErrorKind::kInvalidArgument, wanted.whole_rows.size(), " numbers for ", wanted.whole.size(),
         " rows");
  }
}

void check_candidates(const Candidates& wanted, int64_t results, int64_t columns) {
  const int64_t most = std::min<int64_t>(columns, device::kMostCandidates);
  if (wanted.count < 1 || wanted.count > most || wanted.sums < 0) {
    fail(ErrorKind::kInvalidArgument, wanted.count, " candidates and ", wanted.sums, " sums of a row; 1 to ",
         most, " candidates");
  }
  if (static_cast<int64_t>(wanted.temperatures.size()) != results * wanted.sums ||
      static_cast<int64_t>(wanted.words.size()) != results * (2 * wanted.count + wanted.sums)) {
    fail(ErrorKind::kInvalidArgument, wanted.temperatures.size(), " temperatures and ", wanted.words.size(),
         " words for ", results, " rows of results");
  }
  check_whole(wanted, results, columns);
  for (const float temperature : wanted.temperatures) {
    if (!(temperature > 0.0f) || std::isinf(temperature)) {
      fail(ErrorKind::kInvalidArgument, "temperature ", temperature, "; a number above 0");
    }
  }
}

}  // namespace

void DevicePlan::run_there(const Batch& batch, const RunOptions& options, SharedRows& output,
                           std::span<const int32_t> places) {
  if (output.buffer() == nullptr || output.buffer()->device() != device_) {
    fail(ErrorKind::kInvalidArgument, "rows of ", output.device_name(), " given to a plan on ",
         device_->name());
  }
  if (output.columns() != plan_.limits().output_columns) {
    fail(ErrorKind::kInvalidArgument, "rows of ", output.columns(), " columns for results of ",
         plan_.limits().output_columns);
  }
  check_places(places, plan_.gives_tokens() ? batch.tokens() : batch.sequences, output);
  run_all(batch, options, {.there = output.buffer(), .places = places});
  // What was lost while memory was given back is lost with the results.
  device_->call({"keep results"}, [](ArrowmindWords*) { return int32_t{ARROWMIND_OK}; });
}

// Whatever becomes of it is known when it returns: a failure then is one of this forward, which the CPU can
// do again, and who reads the results need wait for nothing.
void DevicePlan::deliver(const Forward& f, const Results& results) const {
  const int64_t count = plan_.gives_tokens() ? f.rows : f.sequences;
  if (results.there != nullptr) return move_there(f, count, results);
  if (!results.peaks.empty()) return find_peaks(f, count, results.peaks);
  if (results.candidates.count > 0) return find_candidates(f, count, results.candidates);
  f.context.stream.copy_out(results.host, {&f.memory, f.at.result},
                            4 * count * plan_.limits().output_columns);
  f.context.stream.synchronise();
}

void DevicePlan::run_peaks(const Batch& batch, const RunOptions& options, std::span<Peak> peaks) {
  const int64_t count = plan_.gives_tokens() ? batch.tokens() : batch.sequences;
  if (static_cast<int64_t>(peaks.size()) != count) {
    fail(ErrorKind::kInvalidArgument, peaks.size(), " places for ", count, " rows of results");
  }
  if (count > 0) run_all(batch, options, {.peaks = peaks});
}

void DevicePlan::find_peaks(const Forward& f, int64_t count, std::span<Peak> peaks) const {
  static_assert(sizeof(Peak) == 8);
  device::Stream& stream = f.context.stream;
  const device::CachingAllocator::Block found = memory_->allocate(8 * count, stream);
  device::ColumnsParameters p = {};
  p.rows = Lowering::word(count);
  p.width = p.in_stride = Lowering::word(plan_.limits().output_columns);
  p.out_stride = 2;
  const Kernel kernel = find("highest");
  const device::Slice slices[] = {{&f.memory, f.at.result}, {&found.buffer(), 0}};
  stream.launch(kernel.number, grid_of(kernel, {1, count, 1}), slices, std::as_bytes(std::span(&p, 1)));
  stream.copy_out(peaks.data(), {&found.buffer(), 0}, 8 * count);
  stream.synchronise();
}

void DevicePlan::run_candidates(const Batch& batch, const RunOptions& options, const Candidates& wanted) {
  const int64_t count = plan_.gives_tokens() ? batch.tokens() : batch.sequences;
  check_candidates(wanted, count, plan_.limits().output_columns);
  if (count > 0) run_all(batch, options, {.candidates = wanted});
}

void DevicePlan::find_candidates(const Forward& f, int64_t count, const Candidates& wanted) const {
  device::Stream& stream = f.context.stream;
  std::vector<float>& temperatures = f.context.temperatures;  // which outlives the copy, whatever fails
  const auto first = wanted.temperatures.begin();
  temperatures.assign(first, first + count * wanted.sums);
  const int64_t list_bytes = 4 * count * wanted.sums, bytes = 4 * count * (2 * wanted.count + wanted.sums);
  const device::CachingAllocator::Block list = memory_->allocate(std::max<int64_t>(list_bytes, 4), stream);
  const device::CachingAllocator::Block found = memory_->allocate(bytes, stream);
  if (list_bytes > 0) stream.copy_in({&list.buffer(), 0}, temperatures.data(), list_bytes);
  device::CandidatesParameters p = {};
  p.rows = Lowering::word(count);
  p.width = p.in_stride = Lowering::word(plan_.limits().output_columns);
  p.count = Lowering::word(wanted.count);
  p.sums = Lowering::word(wanted.sums);
  p.out_stride = 2 * p.count + p.sums;
  const Kernel kernel = find("candidates");
  const device::Slice slices[] = {{&f.memory, f.at.result}, {&list.buffer(), 0}, {&found.buffer(), 0}};
  stream.launch(kernel.number, grid_of(kernel, {1, count, 1}), slices, std::as_bytes(std::span(&p, 1)));
  stream.copy_out(wanted.words.data(), {&found.buffer(), 0}, bytes);
  const int64_t row_bytes = 4 * plan_.limits().output_columns;
  for (size_t i = 0; i < wanted.whole.size(); ++i) {
    const int64_t row = wanted.whole[i] - wanted.first;
    if (row < 0 || row >= count) continue;
    stream.copy_out(wanted.whole_rows.data() + i * p.width, {&f.memory, f.at.result + row * row_bytes},
                    row_bytes);
  }
  stream.synchronise();
}

void DevicePlan::move_there(const Forward& f, int64_t count, const Results& results) const {
  device::Stream& stream = f.context.stream;
  const device::CachingAllocator::Block list = memory_->allocate(4 * count, stream);
  std::vector<int32_t>& places = f.context.places;  // which outlives the copy, whatever fails
  places.assign(results.places.begin(), results.places.begin() + count);
  stream.copy_in({&list.buffer(), 0}, places.data(), 4 * count);
  device::MoveRowsParameters p = {};
  p.rows = Lowering::word(count);
  p.width = p.in_stride = p.out_stride = Lowering::word(plan_.limits().output_columns);
  p.flags = device::kHasTo;
  const Kernel kernel = find("move_rows");
  const device::Grid grid = grid_of(kernel, {plan_.limits().output_columns, count, 1});
  const device::Slice nothing = {&f.memory, 0};
  const device::Slice slices[] = {{&f.memory, f.at.result}, nothing, {&list.buffer(), 0}, {results.there, 0}};
  stream.launch(kernel.number, grid, slices, std::as_bytes(std::span(&p, 1)));
  stream.synchronise();
}

}  // namespace arrowmind::runtime
