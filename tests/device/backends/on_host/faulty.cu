// Kernels that do what kernels must not, to see that running them tells.
#include "device/gpu/language.h"
#include "device/gpu/warpgroups.h"

using namespace arrowmind::device::gpu;

// Each thread reads what its neighbour may have written already, or not yet.
ARROWMIND_KERNEL(64, without_a_barrier, uint32_t* out) {
  ARROWMIND_SHARED(uint32_t, values, 65);
  values[thread()] = thread();
  out[thread()] = values[thread() + 1];
}

// The same as it should be.
ARROWMIND_KERNEL(64, with_a_barrier, uint32_t* out) {
  ARROWMIND_SHARED(uint32_t, values, 65);
  values[thread()] = thread();
  if (thread() == 0) values[64] = 64;
  barrier();
  out[thread()] = values[thread() + 1];
}

// Half of a warp does not come to what all of it must.
ARROWMIND_KERNEL(64, half_a_warp, uint32_t* out) {
  if (lane() < 16) return;
  out[thread()] = shuffle_xor(thread(), 1);
}

// Sums of a warp, by exchange and by a product of matrices of ones.
ARROWMIND_KERNEL(64, sums, int32_t* out) {
  out[thread()] = warp_sum(static_cast<int32_t>(thread()));
  const uint32_t ones[4] = {0x01010101u, 0x01010101u, 0x01010101u, 0x01010101u}, columns[2] = {lane(), 0};
  int32_t products[4] = {};
  multiply_i8(products, ones, columns);
  out[64 + thread()] = products[0];
}

// Rows [64][16] times columns that lie in memory of the group as `memory` has it byte by byte, and as
// `layout` says; or one of the things that a kernel must not do (tests/device/test_warpgroups.py).
enum Mistake : uint32_t {
  kNone,
  kUnseen,
  kUncopied,
  kReadEarly,
  kOverwriteColumns,
  kOverwriteRows,
  kEndEarly,
  kNoBegin,
  kOverwriteSums,
  kTakeEarly
};
struct alignas(kEightColumns) Tile {
  Four pieces[2048];
};

ARROWMIND_KERNEL(128, warpgroup, const uint16_t* rows, const Four* memory, float* out, uint64_t layout,
                 uint32_t mistake) {
  ARROWMIND_SHARED(Tile, tile, 1);
  for (uint32_t i = thread(); i < 2048; i += threads()) ask_copy(&tile[0].pieces[i], memory + i);
  end_copies();
  if (mistake != kUncopied) wait_copies<0>();
  if (mistake != kUnseen) show_to_products();
  barrier();
  const uint32_t row = 16 * warp() + lane() / 4, k = 2 * (lane() & 3);
  const auto pair = [&](uint32_t r, uint32_t from) {
    return rows[16 * r + from] | static_cast<uint32_t>(rows[16 * r + from + 1]) << 16;
  };
  uint32_t a[2][4] = {{pair(row, k), pair(row + 8, k), pair(row, k + 8), pair(row + 8, k + 8)}, {}};
  WarpgroupSums sums = {};
  if (mistake != kNoBegin) begin_products(a);
  multiply_rows(sums, a[0], layout + (address_in_group(tile) >> 4));
  end_products();
  if (mistake == kOverwriteColumns) tile[0].pieces[thread()] = {};
  if (mistake == kOverwriteRows) a[0][0] ^= 1;
  if (mistake == kOverwriteSums) sums[0][0] = 1;
  if (mistake == kTakeEarly) take_sums(sums);
  const auto write = [&] {
    for (uint32_t i = 0; i < 64; ++i) {
      out[128 * (row + i / 2 % 2 * 8) + i / 4 * 8 + k + i % 2] = sums[i / 4][i % 4];
    }
  };
  if (mistake == kReadEarly) write();
  if (mistake != kEndEarly) wait_products<0>();
  if (mistake == kUncopied) wait_copies<0>();
  if (mistake != kReadEarly) write();
}
