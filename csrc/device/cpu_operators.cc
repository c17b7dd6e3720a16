#include "device/cpu_operators.h"

#include <cstring>

#include "base/aligned_buffer.h"
#include "kernels/activate/activate.h"
#include "kernels/attention/attention.h"
#include "kernels/embed/embed.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"
#include "kernels/rope/rope.h"

namespace arrowmind::device {
namespace {

embed::Table table_of(const EmbedParameters& p, void* const* places) {
  embed::Table table;
  table.data = places[1];
  table.element = static_cast<embed::Element>(p.element);
  const bool has_zeros = (p.flags & kHasZeros) != 0;
  if (p.element < kEmbedI8Grid) {
    table.scale = at<float>(places, 2);
    table.zero = has_zeros ? at<float>(places, 3) : nullptr;
    return table;
  }
  table.grid.group = p.group;
  table.grid.scale_type = static_cast<grid::Scale>(p.scale_type);
  table.grid.scales = places[2];
  table.grid.zeros = has_zeros ? at<uint8_t>(places, 3) : nullptr;
  table.grid.outer = (p.flags & kHasOuter) != 0 ? at<float>(places, 4) : nullptr;
  return table;
}

// One table at a time: the sums of embed.h in its order.
void embed_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<EmbedParameters>(parameters);
  const int32_t row_0 = 0;
  embed::Params e;
  e.word = table_of(p, places);
  e.width = p.width;
  e.out_stride = p.width;
  e.end = 1;
  AlignedBuffer row(int64_t{4} * p.width);
  e.out = row.as<float>();
  for (uint32_t t = 0; t < p.rows; ++t) {
    e.token = p.index == kIndexFirst ? &row_0 : at<int32_t>(places, 0) + t;
    embed::select().run(e);
    float* out = at<float>(places, 5) + int64_t{t} * p.out_stride;
    const bool adds = (p.flags & kAccumulate) != 0;
    for (uint32_t k = 0; k < p.width; ++k) out[k] = adds ? out[k] + e.out[k] : e.out[k];
  }
}

void norm_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<NormParameters>(parameters);
  norm::Params n;
  n.x_stride = p.x_stride;
  n.y_stride = p.y_stride;
  n.width = p.width;
  n.gamma = at<float>(places, 1);
  n.beta = (p.flags & kHasBeta) != 0 ? at<float>(places, 2) : nullptr;
  n.eps = p.epsilon;
  n.end = p.rows;
  for (uint32_t i = 0; i < p.pieces; ++i) {
    n.x = at<float>(places, 0) + p.first + i * p.width;
    n.y = at<float>(places, 3) + p.first + i * p.width;
    norm::select().run(n);
  }
}

template <quantise::Code code>
void quantise_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<QuantiseParameters>(parameters);
  quantise::Params q;
  q.x = at<float>(places, 0);
  q.x_stride = p.x_stride;
  q.width = p.width;
  q.multiplier = (p.flags & kHasMultiplier) != 0 ? at<float>(places, 1) : nullptr;
  q.end = p.rows;
  q.out.codes = places[2];
  q.out.stride = p.stride;
  q.out.scale = at<float>(places, 3);
  q.out.sum = at<int32_t>(places, 4);
  q.out.zero = code == quantise::Code::kI8 ? at<int32_t>(places, 5) : nullptr;
  q.out.block = p.block;
  q.out.part = p.part;
  q.out.limit = qmatmul::activation_limit(p.width);
  quantise::select(code).run(q);
}

void attend(void* const* places, const void* parameters) {
  const auto p = read_parameters<AttentionParameters>(parameters);
  const int32_t* offsets = at<int32_t>(places, 1);
  int32_t longest = 0;
  for (uint32_t s = 0; s < p.sequences; ++s) longest = std::max(longest, offsets[s + 1] - offsets[s]);
  AlignedBuffer scratch(attention::scratch_bytes(longest, p.head_dim));
  attention::Params a;
  a.q = at<float>(places, 0);
  a.k = a.q + p.heads * p.head_dim;
  a.v = a.k + p.key_heads * p.head_dim;
  a.qkv_stride = p.in_stride;
  a.offsets = offsets;
  a.heads = p.heads;
  a.head_dim = p.head_dim;
  a.key_heads = p.key_heads;
  a.scale = p.scale;
  a.causal = (p.flags & kCausal) != 0;
  a.window = p.window;
  a.cap = p.cap;
  a.out = at<float>(places, 3);
  a.out_stride = p.out_stride;
  a.end = int64_t{p.sequences} * p.key_heads;
  a.scratch = scratch.as<void>();
  attention::select().run(a);
}

void pool_sequences(void* const* places, const void* parameters) {
  const auto p = read_parameters<PoolParameters>(parameters);
  pool::Params q;
  q.x = at<float>(places, 0);
  q.x_stride = p.x_stride;
  q.width = q.out_stride = p.width;
  q.offsets = at<int32_t>(places, 1);
  q.mode = p.mode == kPoolMean    ? pool::Mode::kMean
           : p.mode == kPoolFirst ? pool::Mode::kFirst
                                  : pool::Mode::kLast;
  q.normalise = (p.flags & kNormalise) != 0;
  q.out = at<float>(places, 2);
  q.end = p.sequences;
  pool::select().run(q);
}

void activate_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<ActivateParameters>(parameters);
  activate::Params a;
  a.kind = static_cast<activate::Kind>(p.kind);
  a.cap = p.cap;
  a.x = at<float>(places, 0);
  a.up = (p.flags & kGated) != 0 ? a.x + p.width : nullptr;
  a.stride = p.x_stride;
  a.width = p.width;
  a.out = at<float>(places, 1);
  a.out_stride = p.out_stride;
  a.end = p.rows;
  activate::select().run(a);
}

void turn_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<RopeParameters>(parameters);
  rope::Params r;
  r.x = at<float>(places, 0) + p.first;
  r.x_stride = p.x_stride;
  r.heads = p.heads;
  r.head_dim = p.head_dim;
  r.rotated = p.rotated;
  r.interleaved = (p.flags & kInterleaved) != 0;
  r.turns = at<float>(places, 1);
  r.turns_stride = p.turns_stride;
  r.end = p.rows;
  rope::select().run(r);
}

void sum_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<ColumnsParameters>(parameters);
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float* in = at<float>(places, 0) + int64_t{row} * p.in_stride;
    float* out = at<float>(places, 1) + int64_t{row} * p.out_stride;
    for (uint32_t k = 0; k < p.width; ++k) out[k] += in[k];
  }
}

void multiply_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<ColumnsParameters>(parameters);
  const float* multiplier = at<float>(places, 1);
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float* in = at<float>(places, 0) + int64_t{row} * p.in_stride;
    float* out = at<float>(places, 2) + int64_t{row} * p.out_stride;
    for (uint32_t k = 0; k < p.width; ++k) out[k] = in[k] * multiplier[k];
  }
}

template <bool kClears>
void copy_pieces(void* const* places, const void* parameters) {
  const auto p = read_parameters<CopyParameters>(parameters);
  const size_t bytes = size_t{p.width} * sizeof(float);
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float* in = at<float>(places, 0) + int64_t{row} * p.in_stride + p.from_first;
    float* out = at<float>(places, 1) + int64_t{row} * p.out_stride + p.to_first;
    for (uint32_t i = 0; i < p.count; ++i) {
      if (kClears) {
        std::memset(out + int64_t{i} * p.to_step, 0, bytes);
      } else {
        std::memmove(out + int64_t{i} * p.to_step, in + int64_t{i} * p.from_step, bytes);
      }
    }
  }
}

constexpr CpuKernelRow kOperators[] = {
    {"embed", embed_rows, 6, sizeof(EmbedParameters)},
    {"norm", norm_rows, 4, sizeof(NormParameters)},
    {"quantise_i8", quantise_rows<quantise::Code::kI8>, 6, sizeof(QuantiseParameters)},
    {"quantise_i16", quantise_rows<quantise::Code::kI16>, 6, sizeof(QuantiseParameters)},
    {"quantise_i8b", quantise_rows<quantise::Code::kI8Block>, 6, sizeof(QuantiseParameters)},
    {"attention", attend, 4, sizeof(AttentionParameters)},
    {"pool", pool_sequences, 3, sizeof(PoolParameters)},
    {"activate", activate_rows, 2, sizeof(ActivateParameters)},
    {"rope", turn_rows, 2, sizeof(RopeParameters)},
    {"sum", sum_rows, 2, sizeof(ColumnsParameters)},
    {"multiply", multiply_rows, 3, sizeof(ColumnsParameters)},
    {"copy", copy_pieces<false>, 2, sizeof(CopyParameters)},
    {"clear", copy_pieces<true>, 2, sizeof(CopyParameters)},
};

}  // namespace

std::span<const CpuKernelRow> cpu_operators() {
  return kOperators;
}

}  // namespace arrowmind::device
