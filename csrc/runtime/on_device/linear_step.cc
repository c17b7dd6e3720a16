#include "runtime/on_device/linear_step.h"

#include "base/error.h"
#include "runtime/on_device/grid_weights.h"

namespace arrowmind::runtime {
namespace {

using qmatmul::Weight;

const char* name_of(Weight weight) {
  switch (weight) {
    case Weight::kF32:
      return "f32";
    case Weight::kF16:
      return "f16";
    case Weight::kBf16:
      return "bf16";
    case Weight::kI8:
    case Weight::kI8Paired:
    case Weight::kI8Fours:
      return "i8";
    case Weight::kI8Grid:
      return "i8g";
    case Weight::kI4Grid:
      return "i4g";
    case Weight::kI2Grid:
      return "i2g";
    case Weight::kFp4Grid:
      return "fp4g";
    case Weight::kT2Grid:
      return "t2g";
    case Weight::kT3Grid:
      return "t3g";
  }
  return "";
}

const char* name_of(BufferType type) {
  return type == BufferType::kF32   ? "f32"
         : type == BufferType::kI8  ? "i8"
         : type == BufferType::kI16 ? "i16"
                                    : "i8b";
}

// Places and flags of the weights alone, in the order of the contract.
struct WeightPlaces {
  Place packed, scale, zero, sum, outer, bias;
  uint32_t flags = 0;
};

// What part(params) points to, of all matrices.
template <typename Part>
Place constant_of(Lowering& lowering, const LinearStep& step, const Part& part, int64_t bytes) {
  Constant constant{.data = part(*step.params), .bytes = bytes};
  for (size_t i = 1; i < step.matrices.size(); ++i) constant.others.push_back(part(step.matrices[i]));
  return lowering.constant(std::move(constant));
}

WeightPlaces weight_places(Lowering& lowering, const LinearStep& step, device::LinearParameters& p) {
  using Params = qmatmul::Params;
  const Params& w = *step.params;
  const int64_t outputs = round_up(w.n, qmatmul::kPanel);
  const auto place = [&](const auto& part, int64_t bytes) {
    return constant_of(lowering, step, part, bytes);
  };
  WeightPlaces places;
  places.packed = place([](const Params& one) { return one.w; },
                        qmatmul::packed_bytes(step.weight, w.n, w.k, w.grid.group));
  places.bias = lowering.constant(w.bias, w.n * 4);
  if (w.bias != nullptr) places.flags |= device::kHasBias;
  if (step.weight >= Weight::kI8Grid) {
    const GridPlaces grid = grid_places(w.grid, outputs, w.k, [&](const auto& part, int64_t bytes) {
      return place([&](const Params& one) { return part(one.grid); }, bytes);
    });
    places.scale = grid.scales;
    places.zero = grid.zeros;
    places.outer = grid.outer;
    places.flags |= grid.flags;
    p.group = grid.group;
    p.groups = grid.groups;
    p.scale_type = grid.scale_type;
    return places;
  }
  places.scale = place([](const Params& one) { return one.w_scale; }, outputs * 4);
  places.zero = place([](const Params& one) { return one.w_zero; }, outputs * 4);
  places.sum = place([](const Params& one) { return one.w_sum; }, outputs * 4);
  if (w.w_zero != nullptr) places.flags |= device::kHasZeros;
  return places;
}

void describe_blocks(const RowPlaces& rows, device::LinearParameters& p) {
  const int64_t group = rows.group, stride = rows.stride;
  p.block = Lowering::word(grid::block_of(group));
  p.part = Lowering::word(grid::part_of(group));
  p.blocks = Lowering::word(stride / grid::block_of(group));
  p.parts = Lowering::word(stride / grid::part_of(group));
}

}  // namespace

qmatmul::Params params_of(const LinearWeights& weights) {
  qmatmul::Params p;
  p.n = weights.n;
  p.k = weights.k;
  p.w = weights.packed;
  p.w_scale = weights.scale;
  p.w_zero = weights.zero;
  p.w_sum = weights.sum;
  p.grid = weights.grid;
  p.bias = weights.bias;
  return p;
}

bool are_alike(const LinearWeights& a, const LinearWeights& b) {
  const auto both = [](const void* x, const void* y) { return (x == nullptr) == (y == nullptr); };
  return a.type == b.type && a.n == b.n && a.k == b.k && a.grid.group == b.grid.group &&
         a.grid.scale_type == b.grid.scale_type && both(a.grid.zeros, b.grid.zeros) &&
         both(a.grid.outer, b.grid.outer) && both(a.zero, b.zero) && both(a.sum, b.sum) &&
         both(a.bias, b.bias);
}

bool launch_linear(Lowering& lowering, const LinearStep& step) {
  const RowPlaces& in = step.input;
  const qmatmul::Params& w = *step.params;
  device::LinearParameters p = {};
  p.n = Lowering::word(w.n);
  p.k = Lowering::word(w.k);
  p.a_stride = Lowering::word(in.stride);
  p.c_stride = Lowering::word(step.output_stride);
  p.first_column = Lowering::word(step.first_column);
  if (in.type == BufferType::kI8Block) describe_blocks(in, p);
  const WeightPlaces weights = weight_places(lowering, step, p);
  p.flags = weights.flags;
  if (in.type == BufferType::kI8) p.flags |= device::kHasAZero;
  if (w.nonlinearity == qmatmul::Nonlinearity::kGelu) p.flags |= device::kIsGelu;
  Place residual;
  if (step.residual >= 0) {
    p.flags |= device::kHasResidual;
    p.residual_stride = lowering.stride(step.residual);
    residual = Lowering::data(step.residual);
  }
  const bool is_grouped = !step.matrices.empty();
  const std::string kernel =
      cat("linear_", name_of(in.type), "_", name_of(step.weight), is_grouped ? "_grouped" : "");
  Step& launched = lowering.launch(
      kernel.c_str(),
      {in.data, in.scale, in.zero, in.sum, weights.packed, weights.scale, weights.zero, weights.sum,
       weights.outer, is_grouped ? step.tiles : weights.bias, residual, step.output},
      p, {.x = w.n});
  launched.grouped = step.grouped;
  return true;
}

}  // namespace arrowmind::runtime
