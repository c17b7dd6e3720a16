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
    if (!step.fill) {
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
  at.numbers = take(4 * (3 * at.rows + round_up(sequences + 1, kRowRound)));
  if (plan_.source() >= 0) at.source = take(4 * at.rows * plan_.columns(plan_.source()));
  const int64_t result_rows = plan_.gives_tokens() ? at.rows : sequences;
  at.result = take(4 * result_rows * plan_.limits().output_columns);
  return at;
}

void DevicePlan::run(const Batch& batch, const RunOptions& options, float* output) {
  if ((plan_.source() >= 0) != (options.rows != nullptr)) {
    fail(ErrorKind::kInvalidArgument, "this plan reads ",
         plan_.source() >= 0 ? "rows, not token ids" : "token ids");
  }
  if (options.cache != nullptr || options.memory != nullptr) {
    refuse("forwards over a cache do not run there");
  }
  std::unique_ptr<Context> context = borrow();
  for (const Range& range : split(batch, std::clamp<int64_t>(options.micro_tokens, 1, kMostRows))) {
    const int64_t first = plan_.gives_tokens() ? batch.offsets[range.begin] : range.begin;
    run_micro_batch(*context, batch, range, options, output + first * plan_.limits().output_columns);
  }
  give_back(std::move(context));
}

void DevicePlan::run_micro_batch(Context& context, const Batch& batch, Range range, const RunOptions& options,
                                 float* output) {
  const int64_t rows = batch.offsets[range.end] - batch.offsets[range.begin];
  const int64_t sequences = range.end - range.begin;
  const Layout at = lay_out(rows, sequences);
  const device::CachingAllocator::Block memory = memory_->allocate(at.bytes, context.stream);
  const Forward forward{context, memory.buffer(), at, rows, sequences};
  copy_in(forward, batch, range, options);
  run_steps(forward, options);
  const int64_t results = plan_.gives_tokens() ? rows : sequences;
  context.stream.copy_out(output, {&memory.buffer(), at.result}, 4 * results * plan_.limits().output_columns);
  context.stream.synchronise();
}

// The numbers lie one behind the other: ids, positions and sequences of rows, then offsets.
void DevicePlan::copy_in(const Forward& f, const Batch& batch, Range range, const RunOptions& options) const {
  const int32_t first = batch.offsets[range.begin];
  std::vector<int32_t>& numbers = f.context.numbers;
  numbers.assign(static_cast<size_t>(3 * f.at.rows + f.sequences + 1), 0);
  int32_t *ids = numbers.data(), *positions = ids + f.at.rows, *sequence_of = positions + f.at.rows;
  int32_t* offsets = sequence_of + f.at.rows;
  if (batch.token_ids != nullptr) std::copy_n(batch.token_ids + first, f.rows, ids);
  for (int64_t s = 0; s < f.sequences; ++s) {
    const int32_t begin = batch.offsets[range.begin + s] - first,
                  end = batch.offsets[range.begin + s + 1] - first;
    offsets[s + 1] = end;
    for (int32_t row = begin; row < end; ++row) {
      positions[row] = row - begin;
      sequence_of[row] = static_cast<int32_t>(s);
    }
  }
  device::Stream& stream = f.context.stream;
  stream.copy_in({&f.memory, f.at.numbers}, numbers.data(), static_cast<int64_t>(numbers.size()) * 4);
  if (options.rows == nullptr) return;
  const int64_t columns = plan_.columns(plan_.source());
  stream.copy_in({&f.memory, f.at.source}, options.rows + first * columns, 4 * f.rows * columns);
}

void DevicePlan::run_steps(const Forward& f, const RunOptions& options) const {
  f.context.filled.resize(launches_.size());
  for (size_t i = 0; i < launches_.size(); ++i) {
    const Step& step = lowering_.steps()[i];
    if (!step.fill) {
      launch(f, step, launches_[i], options.normalise);
      continue;
    }
    std::vector<float>& rows = f.context.filled[i];
    rows.resize(static_cast<size_t>(f.rows * plan_.columns(step.places[0].id)));
    step.fill(f.context.numbers.data() + f.at.rows, f.rows, rows.data());
    f.context.stream.copy_in(slice(f, step.places[0], {}), rows.data(),
                             static_cast<int64_t>(rows.size()) * 4);
  }
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
  f.context.stream.launch(kernel.number, grid, slices, filled_in(step, f.rows, f.sequences, normalise));
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
      return in(f.at.numbers + 12 * f.at.rows);
    case Kind::kOutput:
      return in(f.at.result);
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
