// Kernels of encoders of images and sound on the cpu device.

#include <cstring>

#include "base/aligned_buffer.h"
#include "device/cpu_operators.h"
#include "kernels/cross_attention/cross_attention.h"

namespace arrowmind::device {
namespace {

void previous_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<CopyParameters>(parameters);
  const auto* in = at<const float>(places, 0);
  const auto* position = at<const int32_t>(places, 1);
  auto* out = at<float>(places, 2);
  const size_t bytes = size_t{p.width} * sizeof(float);
  for (int64_t row = 0; row < p.rows; ++row) {
    float* to = out + row * p.out_stride + p.to_first;
    if (position[row] == 0) {
      std::memset(to, 0, bytes);
    } else {
      std::memcpy(to, in + (row - 1) * p.in_stride + p.from_first, bytes);
    }
  }
}

// Row by row: those of a sequence need not be known here.
void cross_attend(void* const* places, const void* parameters) {
  const auto p = read_parameters<CrossAttentionParameters>(parameters);
  const auto* looked = at<const float>(places, 1);
  const auto* offsets = at<const int32_t>(places, 2);
  const auto* sequence_of = at<const int32_t>(places, 3);
  cross_attention::Params c;
  c.kv_stride = p.looked_stride;
  c.heads = c.end = p.heads;
  c.head_dim = p.head_dim;
  c.scale = p.scale;
  AlignedBuffer scratch;
  for (int64_t row = 0; row < p.rows; ++row) {
    const int32_t* own = offsets + sequence_of[row];
    const float* first = looked + int64_t{own[0]} * p.looked_stride;
    c.keys = own[1] - own[0];
    scratch.resize(cross_attention::scratch_bytes(c.keys));
    c.q = at<const float>(places, 0) + row * p.q_stride;
    c.k = first + p.keys;
    c.v = first + p.values;
    c.out = at<float>(places, 4) + row * p.out_stride;
    c.scratch = scratch.as<void>();
    cross_attention::select().run(c);
  }
}

constexpr CpuKernelRow kSenses[] = {
    {"previous", previous_rows, 3, sizeof(CopyParameters)},
    {"cross_attention", cross_attend, 5, sizeof(CrossAttentionParameters)},
};

}  // namespace

std::span<const CpuKernelRow> cpu_senses() {
  return kSenses;
}

}  // namespace arrowmind::device
