#pragma once

// Products of matrices by a warpgroup, four warps that begin at a multiple of four: the instructions that
// only sm_90a has. They run beside the threads, which say so before what they read and write is touched
// again:
//
//   d[64][128] += a[64][16] x b[16][128]
//   a    as in matrices.h: warp w of the group has rows 16 w to 16 w + 15
//   b    in memory of the group as a descriptor says, k of a column one behind the other
//   d    as in matrices.h, element 4 j + e of a lane is element e of columns 8 j to 8 j + 7
//
// Rows of b are written by copies of 16 bytes that run beside the threads, too. In order: ask_copy() and
// end_copies(), wait_copies(), show_to_products(), a barrier; then begin_products(), multiply_rows(),
// end_products(), and wait_products() before a, d or b change or d is read. docs/design/0031-warpgroups.md
// has the layouts and where they are written down.

#include "device/gpu/language.h"

#if defined(ARROWMIND_ON_HOST)
#define ARROWMIND_HAS_WARPGROUPS 1
#include "on_host/warpgroups.h"
#elif defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define ARROWMIND_HAS_WARPGROUPS 1
#else
#define ARROWMIND_HAS_WARPGROUPS 0
#endif

namespace arrowmind::device::gpu {

constexpr uint32_t kWarpgroup = 128, kWarpgroupColumns = 128;
using WarpgroupSums = float[kWarpgroupColumns / 8][4];

// Of b whose columns take 128 bytes (64 k), 16 bytes number i of column c lying at 16 (i ^ c % 8): mode 1 of
// the descriptor. Eight columns are 1024 bytes, at a multiple of as many; `address` is that of the first,
// plus 32 for each 16 k before those that are wanted. The offset between columns of 16 bytes is not used
// here.
constexpr uint64_t kColumnBytes = 128, kEightColumns = 8 * kColumnBytes;
ARROWMIND_DEVICE uint64_t describe_columns(uint32_t address) {
  return (address & 0x3ffff) >> 4 | uint64_t{1} << 16 | (kEightColumns >> 4) << 32 | uint64_t{1} << 62;
}

#if !defined(ARROWMIND_ON_HOST) && ARROWMIND_HAS_WARPGROUPS

ARROWMIND_DEVICE uint32_t address_in_group(const void* memory) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(memory));
}

// 16 bytes, both at multiples of 16.
ARROWMIND_DEVICE void ask_copy(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address_in_group(to)), "l"(from) : "memory");
}
ARROWMIND_DEVICE void end_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Until no more than kMost of this thread's rounds of copies are under way.
template <int kMost>
ARROWMIND_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kMost) : "memory");
}

// What this thread wrote to memory of the group, products may read behind the next barrier.
ARROWMIND_DEVICE void show_to_products() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Products follow, of these rows: they are named, so that they are made before.
ARROWMIND_DEVICE void begin_products(const uint32_t (&a)[2][4]) {
  asm volatile("wgmma.fence.sync.aligned;" ::"r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]),
               "r"(a[1][0]), "r"(a[1][1]), "r"(a[1][2]), "r"(a[1][3])
               : "memory");
}
ARROWMIND_DEVICE void end_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until no more than kMost rounds of products are under way.
template <int kMost>
ARROWMIND_DEVICE void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kMost) : "memory");
}

#define ARROWMIND_FOUR_SUMS(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])

ARROWMIND_DEVICE void multiply_rows(WarpgroupSums& d, const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "{%64, %65, %66, %67}, %68, 1, 1, 1, 0;"
      : ARROWMIND_FOUR_SUMS(0), ARROWMIND_FOUR_SUMS(1), ARROWMIND_FOUR_SUMS(2), ARROWMIND_FOUR_SUMS(3),
        ARROWMIND_FOUR_SUMS(4), ARROWMIND_FOUR_SUMS(5), ARROWMIND_FOUR_SUMS(6), ARROWMIND_FOUR_SUMS(7),
        ARROWMIND_FOUR_SUMS(8), ARROWMIND_FOUR_SUMS(9), ARROWMIND_FOUR_SUMS(10), ARROWMIND_FOUR_SUMS(11),
        ARROWMIND_FOUR_SUMS(12), ARROWMIND_FOUR_SUMS(13), ARROWMIND_FOUR_SUMS(14), ARROWMIND_FOUR_SUMS(15)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)
      : "memory");
}

// Behind wait_products(): sums are read here and not before.
ARROWMIND_DEVICE void take_sums(WarpgroupSums& d) {
  ARROWMIND_UNROLL
  for (uint32_t i = 0; i < kWarpgroupColumns / 8; ++i) asm volatile("" : ARROWMIND_FOUR_SUMS(i)::"memory");
}

#undef ARROWMIND_FOUR_SUMS

#endif

}  // namespace arrowmind::device::gpu
