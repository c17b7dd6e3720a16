// linear_* of the cpu device, by the kernels of qmatmul.

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
void linear(void* const* places, const void* parameters) {
  const auto p = read_parameters<LinearParameters>(parameters);
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

using A = qmatmul::Activation;
using W = qmatmul::Weight;

template <A activation, W weight>
constexpr CpuKernelRow row(const char* name) {
  return {name, linear<activation, weight>, 12, sizeof(LinearParameters)};
}

constexpr CpuKernelRow kLinears[] = {
    row<A::kF32, W::kF32>("linear_f32_f32"),
    row<A::kF32, W::kF16>("linear_f32_f16"),
    row<A::kF32, W::kBf16>("linear_f32_bf16"),
    row<A::kF32, W::kI8>("linear_f32_i8"),
    row<A::kF32, W::kI8Grid>("linear_f32_i8g"),
    row<A::kF32, W::kI4Grid>("linear_f32_i4g"),
    row<A::kF32, W::kI2Grid>("linear_f32_i2g"),
    row<A::kF32, W::kFp4Grid>("linear_f32_fp4g"),
    row<A::kF32, W::kT2Grid>("linear_f32_t2g"),
    row<A::kF32, W::kT3Grid>("linear_f32_t3g"),
    row<A::kI8, W::kI8>("linear_i8_i8"),
    row<A::kI16, W::kI8>("linear_i16_i8"),
    row<A::kI8Block, W::kI8Grid>("linear_i8b_i8g"),
    row<A::kI8Block, W::kI4Grid>("linear_i8b_i4g"),
    row<A::kI8Block, W::kI2Grid>("linear_i8b_i2g"),
    row<A::kI8Block, W::kFp4Grid>("linear_i8b_fp4g"),
    row<A::kI8Block, W::kT2Grid>("linear_i8b_t2g"),
    row<A::kI8Block, W::kT3Grid>("linear_i8b_t3g"),
};

}  // namespace

std::span<const CpuKernelRow> cpu_linears() {
  return kLinears;
}

}  // namespace arrowmind::device
