// The largest of rows, and sums of their exponentials, on the cpu device.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "device/cpu_operators.h"
#include "kernels/simd/simd.h"

namespace arrowmind::device {
namespace {

// Columns of the `count` largest, best first. What NaN there is counts as the least.
void select(const float* row, const CandidatesParameters& p, std::vector<uint32_t>& columns) {
  columns.resize(p.width);
  for (uint32_t k = 0; k < p.width; ++k) columns[k] = k;
  const auto is_before = [row](uint32_t a, uint32_t b) {
    const bool a_is_nan = std::isnan(row[a]), b_is_nan = std::isnan(row[b]);
    if (a_is_nan != b_is_nan) return b_is_nan;
    if (!a_is_nan && row[a] != row[b]) return row[a] > row[b];
    return a < b;
  };
  const auto end = columns.begin() + std::min(p.count, p.width);
  std::partial_sort(columns.begin(), end, columns.end(), is_before);
}

float sum_of(const float* row, uint32_t width, float largest, float temperature) {
  static const simd::Function exponential = simd::select(simd::Map::kExp).run;
  std::array<float, kSumLanes> lanes = {}, terms = {};
  for (uint32_t first = 0; first < width; first += kSumLanes) {
    const uint32_t count = std::min(kSumLanes, width - first);
    for (uint32_t i = 0; i < count; ++i) terms[i] = (row[first + i] - largest) / temperature;
    exponential({terms.data(), terms.data(), count});
    for (uint32_t i = 0; i < count; ++i) lanes[i] += terms[i];
  }
  for (uint32_t half = kSumLanes / 2; half > 0; half /= 2) {
    for (uint32_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

void candidates_of_rows(void* const* places, const void* parameters) {
  const auto p = read_parameters<CandidatesParameters>(parameters);
  std::vector<uint32_t> columns;
  for (uint32_t row = 0; row < p.rows; ++row) {
    const float* in = at<float>(places, 0) + size_t{row} * p.in_stride;
    const float* temperatures = at<float>(places, 1) + size_t{row} * p.sums;
    uint32_t* out = at<uint32_t>(places, 2) + size_t{row} * p.out_stride;
    const bool is_damaged = std::any_of(in, in + p.width, [](float x) { return std::isnan(x); });
    select(in, p, columns);
    for (uint32_t i = 0; i < p.count; ++i) {
      out[i] = i < p.width ? columns[i] : kNoColumn;
      out[p.count + i] =
          std::bit_cast<uint32_t>(i < p.width ? in[columns[i]] : -std::numeric_limits<float>::infinity());
    }
    for (uint32_t i = 0; i < p.sums; ++i) {
      out[2 * p.count + i] = std::bit_cast<uint32_t>(sum_of(in, p.width, in[columns[0]], temperatures[i]));
    }
    if (is_damaged) out[p.count] = std::bit_cast<uint32_t>(std::numeric_limits<float>::quiet_NaN());
  }
}

constexpr CpuKernelRow kCandidates[] = {
    {"candidates", candidates_of_rows, 3, sizeof(CandidatesParameters)},
};

}  // namespace

std::span<const CpuKernelRow> cpu_candidates() {
  return kCandidates;
}

}  // namespace arrowmind::device
