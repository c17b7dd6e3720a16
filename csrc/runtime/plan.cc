#include "runtime/plan.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/grid/grid.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kMaxColumns = 1 << 20;
// Scratch is laid out for a multiple of this many tokens, which keeps every buffer on a cache line: 4 bytes
// x 16.
constexpr int64_t kTokenRound = 16;

constexpr int64_t kValueBytes = 4;  // of a scale, a sum or a zero

// Ops [first, last] between which a buffer holds something.
struct Life {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = -1;

  void touch(int64_t op) {
    first = std::min(first, op);
    last = std::max(last, op);
  }
  bool overlaps(const Life& other) const { return first <= other.last && other.first <= last; }
};

}  // namespace

int Plan::add_buffer(BufferType type, int64_t columns, int64_t group) {
  if (columns < 1 || columns > kMaxColumns) {
    fail(ErrorKind::kInvalidArgument, "a buffer of ", columns, " columns; use 1 to ", kMaxColumns);
  }
  Buffer buffer{.type = type, .columns = columns, .group = group};
  int64_t values = 0;  // behind the codes of a row
  if (type == BufferType::kF32) {
    buffer.stride = columns;
  } else if (type == BufferType::kI8Block) {
    buffer.stride = round_up(columns, grid::block_of(group));
    buffer.scales = buffer.stride / grid::block_of(group);
    buffer.sums = buffer.stride / grid::part_of(group);
    values = buffer.scales + buffer.sums;
  } else {
    buffer.stride = round_up(columns, 4);
    buffer.scales = buffer.sums = 1;
    values = type == BufferType::kI16 ? 2 : 3;
  }
  buffer.bytes_per_token = round_up(buffer.stride * bytes_of(type), 4) + kValueBytes * values;
  buffers_.push_back(buffer);
  return static_cast<int>(buffers_.size()) - 1;
}

void Plan::expect(int id, BufferType type, int64_t columns, const char* what) const {
  if (id < 0 || id >= static_cast<int>(buffers_.size())) {
    fail(ErrorKind::kInvalidArgument, what, ": there is no buffer ", id);
  }
  const Buffer& buffer = buffers_[static_cast<size_t>(id)];
  if (buffer.type != type || (columns >= 0 && buffer.columns != columns)) {
    fail(ErrorKind::kInvalidArgument, what, ": buffer ", id, " has ", buffer.columns, " columns of ",
         bytes_of(buffer.type), " bytes; this op needs ", columns, " columns of ", bytes_of(type), " bytes");
  }
}

void Plan::set_result(int id) {
  expect(id, BufferType::kF32, limits_.output_columns, "result");
  result_ = id;
}

void Plan::set_source(int id) {
  expect(id, BufferType::kF32, -1, "source");
  source_ = id;
}

void Plan::add_op(std::unique_ptr<Op> op) {
  if (finished_) fail(ErrorKind::kInvalidArgument, "the plan is finished; build a new one to add operators");
  ops_.push_back(std::move(op));
}

bool Plan::is_written(int id) const {
  return std::any_of(ops_.begin(), ops_.end(), [&](const std::unique_ptr<Op>& op) {
    return std::find(op->writes.begin(), op->writes.end(), id) != op->writes.end();
  });
}

void Plan::finish() {
  if (finished_) return;
  if (source_ >= 0 && is_written(source_)) {
    fail(ErrorKind::kInvalidArgument, "an operator writes buffer ", source_, ", which is the caller's rows");
  }
  if (result_ >= 0 && !is_written(result_)) {
    fail(ErrorKind::kInvalidArgument, "no operator writes buffer ", result_, ", which is the result");
  }
  lay_out();
  finished_ = true;
}

// First fit in the order of birth: a buffer takes the lowest place where it overlaps no living one. A forward
// has about ten buffers, so the quadratic search is nothing.
void Plan::lay_out() {
  std::vector<Life> lives(buffers_.size());
  for (size_t op = 0; op < ops_.size(); ++op) {
    for (const int id : ops_[op]->reads) lives.at(static_cast<size_t>(id)).touch(static_cast<int64_t>(op));
    for (const int id : ops_[op]->writes) lives.at(static_cast<size_t>(id)).touch(static_cast<int64_t>(op));
  }
  std::vector<size_t> order;
  for (size_t id = 0; id < buffers_.size(); ++id) {
    const bool is_callers = static_cast<int>(id) == result_ || static_cast<int>(id) == source_;
    if (lives[id].last >= 0 && !is_callers) order.push_back(id);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lives[a].first < lives[b].first; });

  std::vector<size_t> placed;  // sorted by offset
  for (const size_t id : order) {
    int64_t offset = 0;
    for (const size_t other : placed) {
      const Buffer& taken = buffers_[other];
      if (!lives[id].overlaps(lives[other])) continue;
      if (offset + buffers_[id].bytes_per_token <= taken.offset) break;
      offset = std::max(offset, taken.offset + taken.bytes_per_token);
    }
    buffers_[id].offset = offset;
    bytes_per_token_ = std::max(bytes_per_token_, offset + buffers_[id].bytes_per_token);
    placed.push_back(id);
    std::sort(placed.begin(), placed.end(),
              [&](size_t a, size_t b) { return buffers_[a].offset < buffers_[b].offset; });
  }
}

Plan::Offsets Plan::offsets(int id, int64_t rows) const {
  const Buffer& buffer = buffers_.at(static_cast<size_t>(id));
  Offsets at{.data = rows * buffer.offset};
  at.scale = at.data + rows * round_up(buffer.stride * bytes_of(buffer.type), 4);
  at.sum = at.scale + rows * buffer.scales * kValueBytes;
  at.zero = at.sum + rows * buffer.sums * kValueBytes;
  return at;
}

std::vector<Slot> Plan::slots(Scratch& scratch, int64_t tokens) const {
  const int64_t rows = round_up(tokens, kTokenRound);
  scratch.memory.resize(scratch_bytes(rows) + AlignedBuffer::kAlignment);
  return slots(scratch.memory.as<char>(), rows);
}

std::vector<Slot> Plan::slots(char* base, int64_t rows) const {
  std::vector<Slot> result;
  for (int id = 0; id < buffers(); ++id) {
    const Offsets at = offsets(id, rows);
    Slot slot{.data = base + at.data, .stride = stride(id)};
    if (type(id) != BufferType::kF32) {
      slot.scale = reinterpret_cast<float*>(base + at.scale);
      slot.sum = reinterpret_cast<int32_t*>(base + at.sum);
      if (type(id) == BufferType::kI8) slot.zero = reinterpret_cast<int32_t*>(base + at.zero);
    }
    result.push_back(slot);
  }
  return result;
}

std::unique_ptr<Plan::Scratch> Plan::borrow_scratch() {
  const std::lock_guard<std::mutex> lock(scratch_mutex_);
  if (free_scratch_.empty()) return std::make_unique<Scratch>();
  std::unique_ptr<Scratch> scratch = std::move(free_scratch_.back());
  free_scratch_.pop_back();
  return scratch;
}

void Plan::return_scratch(std::unique_ptr<Scratch> scratch) {
  const std::lock_guard<std::mutex> lock(scratch_mutex_);
  free_scratch_.push_back(std::move(scratch));
}

// Puts the caller's memory in place of the buffers that stand for it.
void Plan::bind(std::vector<Slot>& slots, const float* rows, float* output) const {
  if (result_ >= 0) slots[static_cast<size_t>(result_)].data = output;
  // Never written: add_op() sees to it.
  if (source_ >= 0) slots[static_cast<size_t>(source_)].data = const_cast<float*>(rows);
}

void Plan::run_micro_batch(const Batch& batch, Range range, const RunOptions& options, ThreadPool* pool,
                           float* output) {
  std::unique_ptr<Scratch> scratch = borrow_scratch();
  const int32_t first = batch.offsets[range.begin];
  scratch->offsets.clear();
  scratch->positions.clear();
  for (int64_t s = range.begin; s <= range.end; ++s) scratch->offsets.push_back(batch.offsets[s] - first);
  for (int64_t s = range.begin; s < range.end; ++s) {
    const int64_t before =
        options.cache == nullptr ? 0 : options.cache->sequences[static_cast<size_t>(s)]->position();
    for (int32_t i = 0; i < batch.offsets[s + 1] - batch.offsets[s]; ++i) {
      scratch->positions.push_back(static_cast<int32_t>(before + i));
    }
  }
  const int32_t* ids = batch.token_ids == nullptr ? nullptr : batch.token_ids + first;
  const Batch part{ids, scratch->offsets.data(), range.end - range.begin};
  Execution execution(part, pool);
  execution.positions = scratch->positions.data();
  execution.cache = options.cache;
  execution.memory = options.memory;
  execution.first_sequence = range.begin;
  execution.slots = slots(*scratch, part.tokens());
  execution.output = output + (gives_tokens() ? first : range.begin) * limits_.output_columns;
  execution.normalise = options.normalise;
  const float* rows = options.rows == nullptr ? nullptr : options.rows + first * columns(source_);
  bind(execution.slots, rows, execution.output);
  for (const std::unique_ptr<Op>& op : ops_) op->run(execution);
  return_scratch(std::move(scratch));
}

void Plan::run(const Batch& batch, const RunOptions& options, ThreadPool& pool, float* output) {
  if (!finished_) fail(ErrorKind::kInvalidArgument, "the plan is not finished; call finish() first");
  if ((source_ >= 0) != (options.rows != nullptr)) {
    fail(ErrorKind::kInvalidArgument, "this plan reads ", source_ >= 0 ? "rows, not token ids" : "token ids");
  }
  const std::vector<Range> ranges = split(batch, options.micro_tokens);
  const bool whole_per_thread = static_cast<int>(ranges.size()) >= 2 * pool.threads();
  if (whole_per_thread) {
    pool.run(static_cast<int64_t>(ranges.size()), [&](int64_t i, int) {
      run_micro_batch(batch, ranges[static_cast<size_t>(i)], options, nullptr, output);
    });
    return;
  }
  ThreadPool* shared = pool.threads() > 1 ? &pool : nullptr;
  for (const Range& range : ranges) run_micro_batch(batch, range, options, shared, output);
}

std::vector<std::string> Plan::kernels() const {
  std::vector<std::string> names;
  for (const std::unique_ptr<Op>& op : ops_) {
    for (std::string& name : op->kernels()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
    }
  }
  return names;
}

}  // namespace arrowmind::runtime
