// Kernels of language models on the cpu device: keys and values in pages, routed feed-forwards.

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "device/cpu_operators.h"
#include "kernels/cached_attention/cached_attention.h"
#include "kernels/route/route.h"

namespace arrowmind::device {
namespace {

template <typename Parameters>
Parameters read(const void* parameters) {
  Parameters p;
  std::memcpy(&p, parameters, sizeof p);
  return p;
}

template <typename T>
T* at(void* const* places, int place) {
  return static_cast<T*>(places[place]);
}

// Rows of one sequence, which stand one behind the other.
struct Run {
  int64_t begin, end;
  int64_t first;             // place of the first one in its sequence
  std::vector<char*> pages;  // of the sequence
};

// Places 1 to 3 and 5 of both kernels are the same.
template <typename Parameters>
std::vector<Run> runs_of(const Parameters& p, void* const* places) {
  const auto* table = at<const uint32_t>(places, 1);
  const auto* sequence_of = at<const int32_t>(places, 2);
  const auto* place_of = at<const int32_t>(places, 3);
  char* memory = at<char>(places, 5);
  std::vector<Run> runs;
  for (int64_t row = 0; row < p.rows;) {
    Run run{.begin = row, .end = row + 1, .first = place_of[row], .pages = {}};
    while (run.end < p.rows && sequence_of[run.end] == sequence_of[row]) ++run.end;
    const int64_t pages = place_of[run.end - 1] / p.page_tokens + 1;
    const uint32_t* begins = table + int64_t{sequence_of[row]} * p.table_stride;
    for (int64_t i = 0; i < pages; ++i) run.pages.push_back(memory + int64_t{4} * begins[i]);
    row = run.end;
    runs.push_back(std::move(run));
  }
  return runs;
}

template <typename Parameters>
cached_attention::Head head_of(const Parameters& p, const Run& run, uint32_t head, const float* signs) {
  return {.pages = run.pages.data(),
          .offset = p.first_byte + int64_t{head} * p.head_bytes,
          .page_tokens = p.page_tokens,
          .layout = {.format = static_cast<cached_attention::Format>(p.format),
                     .values = p.values,
                     .key_scales = p.key_scales,
                     .value_scales = p.value_scales,
                     .bytes = p.head_bytes},
          .signs = p.format == kPageI8 ? signs : nullptr};
}

void write_pages(void* const* places, const void* parameters) {
  const auto p = read<CacheWriteParameters>(parameters);
  for (const Run& run : runs_of(p, places)) {
    const float* k = at<float>(places, 0) + run.begin * p.in_stride + p.heads * p.head_dim;
    for (uint32_t head = 0; head < p.key_heads; ++head, k += p.head_dim) {
      cached_attention::select().write({.k = k,
                                        .v = k + p.key_heads * p.head_dim,
                                        .stride = p.in_stride,
                                        .head_dim = p.head_dim,
                                        .head = head_of(p, run, head, at<float>(places, 4)),
                                        .first = run.first,
                                        .count = run.end - run.begin});
    }
  }
}

void attend_pages(void* const* places, const void* parameters) {
  const auto p = read<CachedAttentionParameters>(parameters);
  const uint32_t group = p.heads / p.key_heads;
  AlignedBuffer scratch;
  for (const Run& run : runs_of(p, places)) {
    const int64_t rows = run.end - run.begin;
    scratch.resize(cached_attention::scratch_bytes(run.first + rows, p.head_dim));
    for (uint32_t head = 0; head < p.key_heads; ++head) {
      const int64_t column = int64_t{head} * group * p.head_dim;
      cached_attention::select().attend({.q = at<float>(places, 0) + run.begin * p.in_stride + column,
                                         .q_stride = p.in_stride,
                                         .out = at<float>(places, 6) + run.begin * p.out_stride + column,
                                         .out_stride = p.out_stride,
                                         .group = group,
                                         .head_dim = p.head_dim,
                                         .scale = p.scale,
                                         .window = p.window,
                                         .cap = p.cap,
                                         .head = head_of(p, run, head, at<float>(places, 4)),
                                         .small = {},
                                         .cached = run.first,
                                         .begin = 0,
                                         .end = rows * group,
                                         .scratch = scratch.as<void>()});
    }
  }
}

void route_rows(void* const* places, const void* parameters) {
  const auto p = read<RouteParameters>(parameters);
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
  const auto p = read<ColumnsParameters>(parameters);
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float scale = at<float>(places, 0)[int64_t{row} * p.in_stride + 1];
    float* out = at<float>(places, 1) + int64_t{row} * p.out_stride;
    for (uint32_t k = 0; k < p.width; ++k) out[k] *= scale;
  }
}

void move_rows(void* const* places, const void* parameters) {
  const auto p = read<MoveRowsParameters>(parameters);
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
  const auto p = read<CombineParameters>(parameters);
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
    {"cache_write", write_pages, 6, sizeof(CacheWriteParameters)},
    {"cached_attention", attend_pages, 7, sizeof(CachedAttentionParameters)},
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
