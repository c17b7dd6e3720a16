#include "runtime/on_device/foreign_linear.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "device/resources.h"
#include "runtime/on_device/linear_step.h"
#include "runtime/ops/row_form.h"

namespace arrowmind::runtime {
namespace {

// Rows of a launch, as of a plan's; and what they are rounded up to where codes lie.
constexpr int64_t kMostRows = 32768, kRowRound = 64;
// Kernels read words of 16 bytes.
constexpr uint64_t kAlignment = 16;

using Kind = Place::Kind;

RowForm form_of(const LinearWeights& weights, BufferType activation) {
  return {activation, weights.k, weights.grid.group};
}

RowPlaces take_rows(Lowering& lowering, const RowForm& form) {
  int64_t used = 0;
  const auto take = [&](int64_t bytes) {
    const Place place = lowering.spare(used, bytes);
    used += bytes;
    return place;
  };
  RowPlaces rows;
  rows.type = form.type;
  rows.stride = form.stride;
  rows.group = form.group;
  rows.data = take(round_up(form.stride * bytes_of(form.type), int64_t{16}));
  rows.scale = take(4 * form.scales);
  rows.sum = take(4 * form.sums);
  if (form.type == BufferType::kI8) rows.zero = take(4);
  return rows;
}

void lower_codes(Lowering& lowering, const RowForm& form, const float* multiplier, const RowPlaces& out) {
  const bool in_blocks = form.type == BufferType::kI8Block;
  device::QuantiseParameters p = {};
  p.x_stride = p.width = Lowering::word(form.width);
  p.stride = Lowering::word(form.stride);
  p.flags = multiplier != nullptr ? device::kHasMultiplier : 0u;
  p.block = Lowering::word(grid::block_of(form.group));
  p.part = Lowering::word(grid::part_of(form.group));
  p.blocks = p.stride / p.block;
  p.parts = p.stride / p.part;
  lowering.launch(quantise_kernel(form.type),
                  {Lowering::of(Kind::kFrom), lowering.constant(multiplier, form.width * 4), out.data,
                   out.scale, out.sum, out.zero},
                  p, {.x = in_blocks ? p.blocks : 1});
}

void lower(Lowering& lowering, const ForeignLinear& layer) {
  const RowForm form = form_of(layer.weights, layer.activation);
  RowPlaces input;
  input.stride = layer.weights.k;
  input.data = Lowering::of(Kind::kFrom);
  if (layer.activation != BufferType::kF32) {
    input = take_rows(lowering, form);
    lower_codes(lowering, form, layer.multiplier, input);
  }
  const qmatmul::Params params = params_of(layer.weights);
  launch_linear(lowering, {.params = &params,
                           .weight = layer.weights.type,
                           .input = input,
                           .output = Lowering::of(Kind::kOutput),
                           .output_stride = layer.weights.n,
                           .residual = -1});
}

// Foreign memory as slices, and the launches over it.
class Run {
 public:
  Run(const std::shared_ptr<device::Device>& device, const ForeignLinear& layer, const Lowering& lowering)
      : device_(*device), layer_(layer), lowering_(lowering), stream_(device->adopt_stream(layer.stream)) {
    for (const Constant& one : lowering.constants()) {
      constants_.push_back(device_.adopt(reinterpret_cast<uint64_t>(one.data), one.bytes));
    }
    const LinearWeights& w = layer.weights;
    x_.push_back(device_.adopt(layer.x, 4 * layer.rows * w.k));
    out_.push_back(device_.adopt(layer.out, 4 * layer.rows * w.n));
    const int64_t scratch = foreign_scratch_bytes(w, layer.activation, layer.rows);
    if (scratch > 0) scratch_.push_back(device_.adopt(layer.scratch, scratch));
  }

  void rows(int64_t begin, int64_t count) {
    for (const Step& step : lowering_.steps()) launch(step, begin, count);
  }

 private:
  void launch(const Step& step, int64_t begin, int64_t count) {
    const auto [number, shape] = find(step.kernel, count);
    const std::array<int64_t, 3> work = {step.work.x, count, step.work.z};
    device::Grid grid;
    for (size_t i = 0; i < 3; ++i) {
      grid.groups[i] = static_cast<uint32_t>(ceil_div(work[i], int64_t{shape.tile[i]}));
      grid.threads[i] = shape.threads[i];
    }
    grid.shared_bytes = shape.shared_bytes;
    std::vector<device::Slice> slices;
    for (const Place& place : step.places) slices.push_back(slice(place, begin, count));
    std::vector<std::byte> parameters = step.parameters;
    const uint32_t numbers[] = {static_cast<uint32_t>(count), 1};
    std::memcpy(parameters.data(), numbers, sizeof numbers);
    stream_.launch(number, grid, slices, parameters);
  }

  std::pair<uint64_t, device::KernelShape> find(const std::string& name, int64_t count) {
    if (count <= device::kFewRows && name.starts_with("linear_")) {
      try {
        return find(name + "_few", INT64_MAX);
      } catch (const device::DeviceFailure& failure) {
        if (failure.failure() != device::Failure::kNotSupported) throw;  // else: one kernel for all
      }
    }
    const uint64_t number = device_.kernel(name);
    return {number, device_.kernel_shape(number, name)};
  }

  device::Slice slice(const Place& place, int64_t begin, int64_t count) const {
    switch (place.kind) {
      case Kind::kConstant:
        return {&constants_[static_cast<size_t>(place.id)], 0};
      case Kind::kOutput:
        return {&out_[0], 4 * begin * layer_.weights.n};
      case Kind::kSpare:
        return {&scratch_[0], place.row_bytes * round_up(count, kRowRound)};
      default:
        return {&x_[0], place.kind == Kind::kFrom ? 4 * begin * layer_.weights.k : 0};
    }
  }

  device::Device& device_;
  const ForeignLinear& layer_;
  const Lowering& lowering_;
  std::deque<device::Buffer> constants_, x_, out_, scratch_;
  device::Stream stream_;
};

void check_address(const char* what, uint64_t address) {
  if (address != 0 && address % kAlignment == 0) return;
  fail(ErrorKind::kInvalidArgument, "[linear] ", what, " at ", address, "; it begins at a multiple of ",
       kAlignment, " bytes");
}

void check(const ForeignLinear& layer) {
  check_linear(layer.weights, layer.weights.k, layer.activation);
  check_address("weights", reinterpret_cast<uint64_t>(layer.weights.packed));
  check_address("rows", layer.x);
  check_address("results", layer.out);
  if (layer.activation != BufferType::kF32) return check_address("scratch memory", layer.scratch);
  if (layer.multiplier != nullptr) {
    fail(ErrorKind::kInvalidArgument, "[linear] rows of float32 are multiplied before they come to a device");
  }
}

}  // namespace

int64_t foreign_scratch_bytes(const LinearWeights& weights, BufferType activation, int64_t rows) {
  if (activation == BufferType::kF32) return 0;
  const Plan plan({});
  Lowering lowering(plan);
  take_rows(lowering, form_of(weights, activation));
  return lowering.spare_bytes() * round_up(std::min(rows, kMostRows), kRowRound);
}

void run_foreign_linear(const std::shared_ptr<device::Device>& device, const ForeignLinear& layer) {
  if (layer.rows == 0) return;
  check(layer);
  const Plan plan({});
  Lowering lowering(plan);
  lower(lowering, layer);
  Run run(device, layer, lowering);
  for (int64_t begin = 0; begin < layer.rows; begin += kMostRows) {
    run.rows(begin, std::min(kMostRows, layer.rows - begin));
  }
}

}  // namespace arrowmind::runtime
