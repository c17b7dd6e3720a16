// linear_* of the cpu device, by the kernels of qmatmul.

#include <array>

#include "base/checked.h"
#include "device/cpu_operators.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::device {
namespace {

// What the contract calls `scales` of a grid, and of other weights.
template <qmatmul::Weight weight>
void bind_weights(const LinearParameters& p, void* const* places, qmatmul::Params& q) {
  const auto present = [&](uint32_t flag, int place) {
    return (p.flags & flag) != 0 ? places[place] : nullptr;
  };
  q.w = places[4];
  q.bias = static_cast<const float*>(present(kHasBias, 9));
  if (weight < qmatmul::Weight::kI8) return;
  if (weight == qmatmul::Weight::kI8) {
    q.w_scale = at<const float>(places, 5);
    q.w_zero = static_cast<const float*>(present(kHasZeros, 6));
    if ((p.flags & kHasAZero) != 0) q.w_sum = at<const int32_t>(places, 7);
    return;
  }
  q.grid.group = p.group;
  q.grid.scale_type = static_cast<grid::Scale>(p.scale_type);
  q.grid.scales = places[5];
  q.grid.zeros = static_cast<const uint8_t*>(present(kHasZeros, 6));
  q.grid.outer = static_cast<const float*>(present(kHasOuter, 8));
}

template <qmatmul::Activation activation, qmatmul::Weight weight>
void multiply(const LinearParameters& p, void* const* places) {
  qmatmul::Params q;
  q.m = p.rows;
  q.n = q.n_end = p.n;
  q.k = p.k;
  q.a = places[0];
  q.a_stride = p.a_stride;
  if (activation != qmatmul::Activation::kF32) {
    q.a_scale = at<const float>(places, 1);
    q.a_sum = at<const int32_t>(places, 3);
  }
  if ((p.flags & kHasAZero) != 0) q.a_zero = at<const int32_t>(places, 2);
  bind_weights<weight>(p, places, q);
  if ((p.flags & kHasResidual) != 0) {
    q.residual = at<const float>(places, 10) + p.first_column;
    q.residual_stride = p.residual_stride;
  }
  q.nonlinearity = (p.flags & kIsGelu) != 0 ? qmatmul::Nonlinearity::kGelu : qmatmul::Nonlinearity::kNone;
  q.c = at<float>(places, 11) + p.first_column;
  q.c_stride = p.c_stride;
  qmatmul::select(activation, weight, q.m).run(q);
}

template <qmatmul::Activation activation, qmatmul::Weight weight>
void linear(void* const* places, const void* parameters) {
  multiply<activation, weight>(read_parameters<LinearParameters>(parameters), places);
}

// Bytes that one matrix, or one row, has at each place.
using Strides = std::array<int64_t, 12>;

template <qmatmul::Weight weight>
Strides strides_of_matrix(const LinearParameters& p) {
  const int64_t outputs = round_up(int64_t{p.n}, qmatmul::kPanel);
  Strides bytes = {};
  bytes[4] = qmatmul::packed_bytes(weight, p.n, p.k, p.group);
  const bool is_grid = weight >= qmatmul::Weight::kI8Grid;
  const int64_t scale = !is_grid || p.scale_type == kScaleF32 ? 4 : p.scale_type == kScaleF16 ? 2 : 1;
  bytes[5] = outputs * (is_grid ? p.groups : 1) * scale;
  bytes[6] = is_grid ? outputs * p.groups : outputs * 4;
  bytes[7] = bytes[8] = outputs * 4;
  return bytes;
}

template <qmatmul::Activation activation>
Strides strides_of_row(const LinearParameters& p) {
  constexpr bool in_blocks = activation == qmatmul::Activation::kI8Block;
  constexpr int64_t kElement = activation == qmatmul::Activation::kF32   ? 4
                               : activation == qmatmul::Activation::kI16 ? 2
                                                                         : 1;
  Strides bytes = {};
  bytes[0] = kElement * p.a_stride;
  bytes[1] = in_blocks ? 4 * int64_t{p.blocks} : 4;
  bytes[2] = 4;
  bytes[3] = in_blocks ? 4 * int64_t{p.parts} : 4;
  bytes[11] = 4 * int64_t{p.c_stride};
  return bytes;
}

// One product for each matrix: tiles that follow each other in its rows.
template <qmatmul::Activation activation, qmatmul::Weight weight>
void grouped(void* const* places, const void* parameters) {
  auto p = read_parameters<LinearParameters>(parameters);
  const Strides matrix = strides_of_matrix<weight>(p), row = strides_of_row<activation>(p);
  const auto* tiles = at<const uint32_t>(places, 9);
  for (uint32_t i = 0, end = p.rows; i < end;) {
    const uint32_t* first = tiles + 3 * size_t{i};
    p.rows = 0;
    for (const uint32_t* tile = first; i < end && tile[0] == first[0]; tile += 3, ++i) p.rows += tile[2];
    if (p.rows == 0) continue;
    std::array<void*, 12> own;
    for (size_t place = 0; place < own.size(); ++place) {
      own[place] = static_cast<char*>(places[place]) + matrix[place] * first[0] + row[place] * first[1];
    }
    multiply<activation, weight>(p, own.data());
  }
}

using A = qmatmul::Activation;
using W = qmatmul::Weight;

#define LINEAR(name, activation, weight)                                             \
  {name, linear<A::activation, W::weight>, 12, sizeof(LinearParameters)}, {          \
    name "_grouped", grouped<A::activation, W::weight>, 12, sizeof(LinearParameters) \
  }
constexpr CpuKernelRow kLinears[] = {
    LINEAR("linear_f32_f32", kF32, kF32),
    LINEAR("linear_f32_f16", kF32, kF16),
    LINEAR("linear_f32_bf16", kF32, kBf16),
    LINEAR("linear_f32_i8", kF32, kI8),
    LINEAR("linear_f32_i8g", kF32, kI8Grid),
    LINEAR("linear_f32_i4g", kF32, kI4Grid),
    LINEAR("linear_f32_i2g", kF32, kI2Grid),
    LINEAR("linear_f32_fp4g", kF32, kFp4Grid),
    LINEAR("linear_f32_t2g", kF32, kT2Grid),
    LINEAR("linear_f32_t3g", kF32, kT3Grid),
    LINEAR("linear_i8_i8", kI8, kI8),
    LINEAR("linear_i16_i8", kI16, kI8),
    LINEAR("linear_i8b_i8g", kI8Block, kI8Grid),
    LINEAR("linear_i8b_i4g", kI8Block, kI4Grid),
    LINEAR("linear_i8b_i2g", kI8Block, kI2Grid),
    LINEAR("linear_i8b_fp4g", kI8Block, kFp4Grid),
    LINEAR("linear_i8b_t2g", kI8Block, kT2Grid),
    LINEAR("linear_i8b_t3g", kI8Block, kT3Grid),
};
#undef LINEAR

}  // namespace

std::span<const CpuKernelRow> cpu_linears() {
  return kLinears;
}

}  // namespace arrowmind::device
