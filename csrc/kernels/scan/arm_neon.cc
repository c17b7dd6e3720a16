// One-bit rows: exclusive or and a count of bits per byte, 16 bytes at a time; counts of at most 31 vectors
// are added in bytes (31 * 8 < 256) before they are widened. INT8 rows: widened to 16 bits and multiplied by
// the 16-bit query into 32 bits, in four sums so that additions do not wait for each other.

#include <arm_neon.h>

#include <cstring>

#include "kernels/scan/row_access.h"
#include "kernels/scan/scan.h"

namespace arrowmind::scan {
namespace {

using namespace arrowmind::scan::ARROWMIND_ISA;

constexpr int64_t kStep = 16;  // bytes per vector

uint8x16_t count_different(const uint8_t* row, const uint8_t* query) {
  return vcntq_u8(veorq_u8(vld1q_u8(row), vld1q_u8(query)));
}

// Fewer than 16 bytes of a row, then zeros.
void load_tail(const uint8_t* bytes, int64_t count, uint8_t (&padded)[kStep]) {
  std::memset(padded, 0, sizeof(padded));
  std::memcpy(padded, bytes, static_cast<size_t>(count));
}

int32_t distance(const uint8_t* row, const uint8_t* query, int64_t size) {
  constexpr int64_t kMost = 31 * kStep;
  uint32_t total = 0;
  int64_t k = 0;
  while (k + kStep <= size) {
    const int64_t end = size - k < kMost ? size - kStep : k + kMost - kStep;
    uint8x16_t counts = vdupq_n_u8(0);
    for (; k <= end; k += kStep) counts = vaddq_u8(counts, count_different(row + k, query + k));
    total += vaddlvq_u8(counts);
  }
  if (k < size) {
    uint8_t rest[kStep], rest_of_query[kStep];
    load_tail(row + k, size - k, rest);
    load_tail(query + k, size - k, rest_of_query);
    total += vaddlvq_u8(count_different(rest, rest_of_query));
  }
  return static_cast<int32_t>(total);
}

struct Sums {
  int32x4_t part[4];
};

void multiply_add(Sums& sums, const int8_t* codes, const int16_t* query) {
  const int8x16_t bytes = vld1q_s8(codes);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
  const int16x8_t high = vmovl_high_s8(bytes);
  const int16x8_t query_low = vld1q_s16(query);
  const int16x8_t query_high = vld1q_s16(query + 8);
  sums.part[0] = vmlal_s16(sums.part[0], vget_low_s16(low), vget_low_s16(query_low));
  sums.part[1] = vmlal_high_s16(sums.part[1], low, query_low);
  sums.part[2] = vmlal_s16(sums.part[2], vget_low_s16(high), vget_low_s16(query_high));
  sums.part[3] = vmlal_high_s16(sums.part[3], high, query_high);
}

int32_t dot(const uint8_t* row, int64_t dim, const int16_t* query, const Prefetcher& prefetcher) {
  Sums sums;
  for (int32x4_t& part : sums.part) part = vdupq_n_s32(0);
  const int8_t* codes = reinterpret_cast<const int8_t*>(row);
  int64_t k = 0;
  for (; k + kStep <= dim; k += kStep) {
    if (k % kCacheLine == 0) prefetcher.line(row + k);
    multiply_add(sums, codes + k, query + k);
  }
  if (k < dim) {
    uint8_t rest[kStep];
    load_tail(row + k, dim - k, rest);
    multiply_add(sums, reinterpret_cast<const int8_t*>(rest), query + k);  // the query is padded with zeros
  }
  return vaddvq_s32(vaddq_s32(vaddq_s32(sums.part[0], sums.part[1]), vaddq_s32(sums.part[2], sums.part[3])));
}

}  // namespace

void scan_bits_neon(const Params& p) {
  const Prefetcher prefetcher(p);
  for (int64_t i = 0; i < p.count; ++i) {
    prefetcher.before_row(i);
    const uint8_t* row = row_at(p, i);
    for (int64_t k = 0; k < p.row_bytes; k += kCacheLine) prefetcher.line(row + k);
    p.out[i] = distance(row, static_cast<const uint8_t*>(p.query), p.row_bytes);
  }
}

void scan_i8_neon(const Params& p) {
  const int16_t* query = static_cast<const int16_t*>(p.query);
  const Prefetcher prefetcher(p);
  for (int64_t i = 0; i < p.count; ++i) {
    prefetcher.before_row(i);
    p.out[i] = dot(row_at(p, i), p.row_bytes, query, prefetcher);
  }
}

}  // namespace arrowmind::scan
