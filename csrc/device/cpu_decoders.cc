// Routed feed-forwards of language models on the cpu device.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

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

void highest_of_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<ColumnsParameters>(parameters);
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float* in = at<float>(places, 0) + size_t{row} * p.in_stride;
    uint32_t* out = at<uint32_t>(places, 1) + size_t{row} * p.out_stride;
    uint32_t best = 0;
    for (uint32_t k = 1; k < p.width && !std::isnan(in[best]); ++k) {
      if (in[k] > in[best] || std::isnan(in[k])) best = k;
    }
    out[0] = best;
    std::memcpy(out + 1, in + best, sizeof(float));
  }
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

void group_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<GroupRowsParameters>(parameters);
  const float* route = at<float>(places, 0);
  const uint32_t pairs = p.rows * p.top;
  const auto expert_of = [&](uint32_t pair) {
    const float number = route[size_t{pair / p.top} * p.route_stride + pair % p.top];
    const float within = number > 0.0f ? number : 0.0f;  // a NaN is none
    return within < static_cast<float>(p.experts) ? static_cast<uint32_t>(within) : p.experts - 1;
  };
  std::vector<uint32_t> starts(p.experts + 1, 0);
  for (uint32_t pair = 0; pair < pairs; ++pair) ++starts[expert_of(pair) + 1];
  for (uint32_t i = 0; i < p.experts; ++i) starts[i + 1] += starts[i];
  uint32_t* tile = at<uint32_t>(places, 3);
  for (uint32_t i = 0; i < p.experts; ++i) {
    const uint32_t end = most_tiles(starts[i + 1], i + 1, p.tile);
    uint32_t place = starts[i];
    for (uint32_t number = most_tiles(starts[i], i, p.tile); number < end; ++number, tile += 3) {
      tile[0] = i;
      tile[1] = place;
      tile[2] = std::min(p.tile, starts[i + 1] - place);
      place += tile[2];
    }
  }
  for (uint32_t pair = 0; pair < pairs; ++pair) {
    const uint32_t place = starts[expert_of(pair)]++;
    at<int32_t>(places, 1)[place] = static_cast<int32_t>(pair / p.top);
    at<int32_t>(places, 2)[pair] = static_cast<int32_t>(place);
  }
}

// In the order of runtime/ops/experts.cc.
void combine_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<CombineParameters>(parameters);
  const bool has_residual = (p.flags & kHasResidual) != 0;
  const int32_t* from = (p.flags & kHasFrom) != 0 ? at<int32_t>(places, 4) : nullptr;
  for (int64_t row = 0; row < p.rows; ++row) {
    const float* weights = at<float>(places, 1) + row * p.weights_stride + p.top;
    const float* in = at<float>(places, 0);
    const auto place_of = [&](int64_t pair) { return from == nullptr ? pair : int64_t{from[pair]}; };
    const float* residual = at<float>(places, 2) + row * p.residual_stride;
    float* out = at<float>(places, 3) + row * p.out_stride;
    for (uint32_t k = 0; k < p.width; ++k) {
      float sum = 0.0f;
      for (uint32_t rank = 0; rank < p.top; ++rank)
        sum += weights[rank] * in[place_of(row * p.top + rank) * p.in_stride + k];
      out[k] = has_residual ? residual[k] + sum : sum;
    }
  }
}

constexpr CpuKernelRow kDecoders[] = {
    {"route", route_rows, 3, sizeof(RouteParameters)},
    {"highest", highest_of_rows, 2, sizeof(ColumnsParameters)},
    {"scale_rows", scale_rows, 2, sizeof(ColumnsParameters)},
    {"move_rows", move_rows, 4, sizeof(MoveRowsParameters)},
    {"combine", combine_rows, 5, sizeof(CombineParameters)},
    {"group_rows", group_rows, 4, sizeof(GroupRowsParameters)},
};

}  // namespace

std::span<const CpuKernelRow> cpu_decoders() {
  return kDecoders;
}

}  // namespace arrowmind::device
