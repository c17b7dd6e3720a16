// Routed feed-forwards of language models on the cpu device.

#include <cstring>

#include "device/cpu_operators.h"
#include "kernels/route/route.h"

namespace arrowmind::device {
namespace {

void route_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<RouteParameters>(parameters);
  route::Params r;
  r.x = at<float>(places, 0);
  r.x_stride = p.x_stride;
  r.experts = p.experts;
  r.top = p.top;
  r.score = p.is_sigmoid != 0 ? route::Score::kSigmoid : route::Score::kSoftmax;
  r.bias = (p.flags & kHasBias) != 0 ? at<float>(places, 1) : nullptr;
  r.groups = p.groups;
  r.kept = p.kept;
  r.group_score = p.sums_two != 0 ? route::GroupScore::kTwoLargest : route::GroupScore::kLargest;
  r.normalised = (p.flags & kNormalise) != 0;
  r.factor = p.factor;
  r.out = at<float>(places, 2);
  r.out_stride = p.out_stride;
  r.end = p.rows;
  route::select().run(r);
}

void scale_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<ColumnsParameters>(parameters);
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float scale = at<float>(places, 0)[int64_t{row} * p.in_stride + 1];
    float* out = at<float>(places, 1) + int64_t{row} * p.out_stride;
    for (uint32_t k = 0; k < p.width; ++k) out[k] *= scale;
  }
}

void move_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<MoveRowsParameters>(parameters);
  const int32_t* from = (p.flags & kHasFrom) != 0 ? at<int32_t>(places, 1) : nullptr;
  const int32_t* to = (p.flags & kHasTo) != 0 ? at<int32_t>(places, 2) : nullptr;
  for (uint32_t row = 0; row < p.rows; ++row) {
    const int64_t source = from == nullptr ? row : from[row], target = to == nullptr ? row : to[row];
    std::memcpy(at<uint32_t>(places, 3) + target * p.out_stride,
                at<uint32_t>(places, 0) + source * p.in_stride, size_t{p.width} * 4);
  }
}

// In the order of runtime/ops/experts.cc.
void combine_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<CombineParameters>(parameters);
  const bool has_residual = (p.flags & kHasResidual) != 0;
  for (int64_t row = 0; row < p.rows; ++row) {
    const float* weights = at<float>(places, 1) + row * p.weights_stride + p.top;
    const float* in = at<float>(places, 0) + row * p.top * p.in_stride;
    const float* residual = at<float>(places, 2) + row * p.residual_stride;
    float* out = at<float>(places, 3) + row * p.out_stride;
    for (uint32_t k = 0; k < p.width; ++k) {
      float sum = 0.0f;
      for (uint32_t rank = 0; rank < p.top; ++rank)
        sum += weights[rank] * in[int64_t{rank} * p.in_stride + k];
      out[k] = has_residual ? residual[k] + sum : sum;
    }
  }
}

constexpr CpuKernelRow kDecoders[] = {
    {"route", route_rows, 3, sizeof(RouteParameters)},
    {"scale_rows", scale_rows, 2, sizeof(ColumnsParameters)},
    {"move_rows", move_rows, 4, sizeof(MoveRowsParameters)},
    {"combine", combine_rows, 4, sizeof(CombineParameters)},
};

}  // namespace

std::span<const CpuKernelRow> cpu_decoders() {
  return kDecoders;
}

}  // namespace arrowmind::device
