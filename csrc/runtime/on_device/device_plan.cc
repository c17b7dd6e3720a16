#include "runtime/on_device/device_plan.h"

#include <algorithm>
#include <cstddef>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::runtime {
namespace {

// Buffers are laid out for a multiple of so many rows, which keeps each at a multiple of 256 bytes.
constexpr int64_t kRowRound = 64;
// Groups in the second direction of a grid; every device takes as many.
constexpr int64_t kMostRows = 32768;

// What parameters of kernels over pages begin with; the two have the same members up to these.
using Paged = device::CacheWriteParameters;
static_assert(offsetof(Paged, page_tokens) == offsetof(device::CachedAttentionParameters, page_tokens) &&
              offsetof(Paged, value_scales) == offsetof(device::CachedAttentionParameters, value_scales));

void describe_pages(std::vector<std::byte>& parameters, const KvCache& cache, int64_t layer,
                    int64_t table_stride) {
  Paged p;
  std::memcpy(&p, parameters.data(), sizeof p);
  cache.check_layer(layer, p.key_heads, p.head_dim);
  const KvCache::DeviceLayer at = cache.device_layer(layer);
  p.page_tokens = Lowering::word(cache.page_tokens());
  p.table_stride = Lowering::word(table_stride);
  p.format = static_cast<uint32_t>(at.layout.format);  // device::PageFormat has the same order
  p.first_byte = Lowering::word(at.offset);
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

bool is_linear(const std::string& kernel) {
  return kernel.starts_with("linear_");
}

}  // namespace

// One micro-batch: its numbers, and where it lies.
struct DevicePlan::Forward {
  Context& context;
  const device::Buffer& memory;
  Layout at;
  int64_t rows, sequences;
  const CacheRun* cache;             // or null
  device::Slice from = {}, to = {};  // lists of the rows of an expert

  bool has(const Step& step) const {
    return step.when == When::kAlways || (step.when == When::kCached) == (cache != nullptr);
  }
};

DevicePlan::DevicePlan(const Plan& plan, std::shared_ptr<DeviceWeights> weights,
                       std::shared_ptr<device::CachingAllocator> memory)
    : plan_(plan),
      lowering_(plan),
      weights_(std::move(weights)),
      memory_(std::move(memory)),
      device_(weights_->device()) {
  if (!plan.is_finished()) fail(ErrorKind::kInvalidArgument, "the plan is not finished; call finish() first");
  for (const std::unique_ptr<Op>& op : plan.ops()) {
    if (op->lower(lowering_)) continue;
    const std::vector<std::string> kernels = op->kernels();
    refuse(cat("the model has an operator that devices have no kernel for",
               kernels.empty() ? "" : cat(" (", kernels.front(), " on the CPU)")));
  }
  prepare(*weights_);
}

void DevicePlan::refuse(const std::string& what) const {
  throw device::DeviceFailure(device::Failure::kNotSupported,
                              cat("[", device_->name(), "] ", what, "; run it with device='cpu'"));
}

DevicePlan::Kernel DevicePlan::find(const std::string& name) const {
  const uint64_t number = device_->kernel(name);
  return {number, device_->kernel_shape(number, name)};
}

void DevicePlan::prepare(DeviceWeights& weights) {
  for (const Step& step : lowering_.steps()) {
    Launch launch;
    for (const Place& place : step.places) {
      const bool is_constant = place.kind == Place::Kind::kConstant;
      launch.constants.push_back(
          is_constant ? weights.put(lowering_.constants()[static_cast<size_t>(place.id)]) : device::Slice{});
    }
    if (!step.kernel.empty()) {
      launch.kernel = find(step.kernel);
      launch.few = launch.kernel;
      try {
        if (is_linear(step.kernel)) launch.few = find(step.kernel + "_few");
      } catch (const device::DeviceFailure& failure) {
        if (failure.failure() != device::Failure::kNotSupported) throw;  // else: one kernel for all
      }
    }
    launches_.push_back(std::move(launch));
  }
  weights.finish();
}

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

void DevicePlan::check_cache(const CacheRun* cache) const {
  if (cache == nullptr) return;
  const DevicePages* pages = cache->cache->on_device();
  if (pages == nullptr || pages->device() != device_) refuse("the pages of the cache are not on this device");
  for (const Step& step : lowering_.steps()) {
    if (step.when == When::kAlways && step.kernel == "attention") {
      fail(ErrorKind::kInvalidArgument, "a forward over a cache meets attention that is no layer of one");
    }
  }
}

void DevicePlan::run(const Batch& batch, const RunOptions& options, float* output,
                     std::vector<StepTime>* times) {
  if ((plan_.source() >= 0) != (options.rows != nullptr)) {
    fail(ErrorKind::kInvalidArgument, "this plan reads ",
         plan_.source() >= 0 ? "rows, not token ids" : "token ids");
  }
  if (options.memory != nullptr) refuse("attention to other rows does not run there");
  check_cache(options.cache);
  std::unique_ptr<Context> context = borrow();
  for (const Range& range : split(batch, std::clamp<int64_t>(options.micro_tokens, 1, kMostRows))) {
    const int64_t first = plan_.gives_tokens() ? batch.offsets[range.begin] : range.begin;
    run_micro_batch(*context, batch, range, options, output + first * plan_.limits().output_columns, times);
  }
  give_back(std::move(context));
}

void DevicePlan::run_micro_batch(Context& context, const Batch& batch, Range range, const RunOptions& options,
                                 float* output, std::vector<StepTime>* times) {
  const int64_t rows = batch.offsets[range.end] - batch.offsets[range.begin];
  const int64_t sequences = range.end - range.begin;
  Layout at = lay_out(rows, sequences);
  if (options.cache != nullptr) lay_out_tables(at, *options.cache, batch, range);
  const device::CachingAllocator::Block memory = memory_->allocate(at.bytes, context.stream);
  const Forward forward{context, memory.buffer(), at, rows, sequences, options.cache};
  copy_in(forward, batch, range, options);
  std::vector<device::Event> marks;
  if (times == nullptr) {
    run_steps(forward, options);
  } else {
    run_measured(forward, options, marks);
  }
  const int64_t results = plan_.gives_tokens() ? rows : sequences;
  context.stream.copy_out(output, {&memory.buffer(), at.result}, 4 * results * plan_.limits().output_columns);
  context.stream.synchronise();
  for (size_t i = 0, mark = 0; times != nullptr && i < launches_.size(); i += span_of(i)) {
    const Step& step = lowering_.steps()[i];
    if (!forward.has(step)) continue;
    const int64_t took = marks[mark].nanoseconds_until(marks[mark + 1]);
    times->push_back({step.fill ? "copy_in" : step.routed.experts > 0 ? "experts" : step.kernel, took});
    ++mark;
  }
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
  if (f.cache != nullptr) copy_in_tables(f, range);
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

// Lists of each expert's rows, where they come from and then where they go, in the order of tokens.
std::vector<DevicePlan::Sent> DevicePlan::read_route(const Forward& f, const Routed& routed) const {
  const int64_t columns = plan_.stride(routed.route), count = f.rows * columns;
  std::vector<float>& route = f.context.route;
  route.resize(static_cast<size_t>(count));
  f.context.stream.copy_out(route.data(), slice(f, Lowering::data(routed.route), {}), 4 * count);
  f.context.stream.synchronise();
  std::vector<Sent> sent(static_cast<size_t>(routed.experts));
  const auto each = [&](const auto& body) {
    for (int64_t row = 0; row < f.rows * routed.top; ++row) {
      const float number = route[static_cast<size_t>(row / routed.top * columns + row % routed.top)];
      if (!(number >= 0.0f && number < static_cast<float>(routed.experts))) {  // a NaN is none either
        fail(ErrorKind::kInvalidArgument, "a row is sent to expert ", number, " of ", routed.experts);
      }
      body(sent[static_cast<size_t>(number)], row);
    }
  };
  each([](Sent& one, int64_t) { ++one.rows; });
  int64_t words = 0;
  for (Sent& one : sent) {
    one.first = words;
    words += 2 * round_up(one.rows, kRowRound);
    one.rows = 0;
  }
  std::vector<int32_t>& lists = f.context.lists;
  lists.assign(static_cast<size_t>(words), 0);
  const auto place = [&](const Sent& one) { return lists.begin() + one.first + one.rows; };
  each([&](Sent& one, int64_t row) {
    *place(one) = static_cast<int32_t>(row / routed.top);
    ++one.rows;
  });
  for (Sent& one : sent) one.first += round_up(std::exchange(one.rows, 0), kRowRound);
  each([&](Sent& one, int64_t row) {
    *place(one) = static_cast<int32_t>(row);
    ++one.rows;
  });
  for (Sent& one : sent) one.first -= round_up(one.rows, kRowRound);
  return sent;
}

// The host sorts what the router gave: who is sent where decides what is launched.
void DevicePlan::run_experts(const Forward& f, size_t i) const {
  const Routed& routed = lowering_.steps()[i].routed;
  const std::vector<Sent> sent_to = read_route(f, routed);
  const int64_t bytes = static_cast<int64_t>(f.context.lists.size()) * 4;
  const device::CachingAllocator::Block lists = memory_->allocate(bytes, f.context.stream);
  f.context.stream.copy_in({&lists.buffer(), 0}, f.context.lists.data(), bytes);
  for (int64_t expert = 0; expert < routed.experts; ++expert) {
    const Sent& sent = sent_to[static_cast<size_t>(expert)];
    if (sent.rows == 0) continue;
    Forward part = f;
    part.rows = sent.rows;
    part.from = {&lists.buffer(), 4 * sent.first};
    part.to = {&lists.buffer(), 4 * (sent.first + round_up(sent.rows, kRowRound))};
    for (int64_t k = 0; k < routed.each; ++k) {
      const size_t at = i + 1 + static_cast<size_t>(expert * routed.each + k);
      launch(part, lowering_.steps()[at], launches_[at], false);
    }
  }
}

// Steps that number `i` stands for: itself, and those of its experts.
size_t DevicePlan::span_of(size_t i) const {
  const Routed& routed = lowering_.steps()[i].routed;
  return 1 + static_cast<size_t>(routed.experts * routed.each);
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
  if (step.routed.experts > 0) return run_experts(f, i);
  if (!step.fill) return launch(f, step, launches_[i], options.normalise);
  std::vector<float>& rows = f.context.filled[i];
  rows.resize(static_cast<size_t>(f.rows * plan_.columns(step.places[0].id)));
  step.fill(f.context.numbers.data() + f.at.rows, f.rows, rows.data());
  f.context.stream.copy_in(slice(f, step.places[0], {}), rows.data(), static_cast<int64_t>(rows.size()) * 4);
}

void DevicePlan::launch(const Forward& f, const Step& step, const Launch& launch, bool normalise) const {
  const Kernel& kernel = f.rows <= device::kFewRows ? launch.few : launch.kernel;
  const int64_t work[3] = {step.work.x, step.work.per_sequence ? f.sequences : f.rows, step.work.z};
  device::Grid grid;
  for (size_t i = 0; i < 3; ++i) {
    grid.groups[i] = static_cast<uint32_t>(ceil_div(work[i], int64_t{kernel.shape.tile[i]}));
    grid.threads[i] = kernel.shape.threads[i];
  }
  grid.shared_bytes = kernel.shape.shared_bytes;
  std::vector<device::Slice> slices;
  for (size_t i = 0; i < step.places.size(); ++i) {
    slices.push_back(slice(f, step.places[i], launch.constants[i]));
  }
  std::vector<std::byte> parameters = filled_in(step, f.rows, f.sequences, normalise);
  if (step.layer >= 0) describe_pages(parameters, *f.cache->cache, step.layer, f.at.table_stride);
  f.context.stream.launch(kernel.number, grid, slices, parameters);
}

device::Slice DevicePlan::page_slice(const Forward& f, const Place& place) const {
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

std::vector<std::string> DevicePlan::kernels() const {
  std::vector<std::string> names;
  for (const Step& step : lowering_.steps()) {
    const bool is_new = std::find(names.begin(), names.end(), step.kernel) == names.end();
    if (!step.kernel.empty() && is_new) names.push_back(step.kernel);
  }
  return names;
}

std::unique_ptr<DevicePlan::Context> DevicePlan::borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Context> context = std::move(free_.back());
      free_.pop_back();
      return context;
    }
  }
  return std::make_unique<Context>(device_->stream());
}

void DevicePlan::give_back(std::unique_ptr<Context> context) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(context));
}

}  // namespace arrowmind::runtime
