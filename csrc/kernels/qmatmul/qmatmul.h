#pragma once

#include <cstdint>
#include <span>

#include "kernels/grid/grid.h"
#include "kernels/registry.h"

namespace arrowmind::qmatmul {

using grid::block_of;
using grid::Grid;
using grid::part_of;
using grid::Scale;

// C[m][n] = epilogue( sum_k A[m][k] * W[n][k] )       A: activations, W: weights of a linear layer [n_out,
// n_in]
//
// Integer forms: A and W hold codes, and
//   acc[m][n] = sum_k a[m][k] * w[n][k]                             exact in int32 (budget below)
//   value     = (acc - a_zero[m] * w_sum[n] - a_sum[m] * w_zero[n]) * (a_scale[m] * w_scale[n])
// with a_sum[m] = sum_k (a[m][k] - a_zero[m]): the product of (a - a_zero) and (w - w_zero), multiplied out.
// Float forms: A is float32, float16 or bfloat16 (a_type), all exact in float32; W is float32, float16,
// bfloat16, (int8 - w_zero) * w_scale, or the values of a grid (grid.h). Grid forms: W holds codes of a grid
// with a scale per group of k, A int8 codes with a scale per block of k:
//   out = 0; for each block of k, in order:
//     value = sum over the groups h of the block, in order, of real_h * scale_h   (from the second on fused)
//     out   = fma(value, a_scale[m][block], out)
// where real_h = sum_k a[m][k] * (code(w[n][k]) - zero_h) over the group, |a| <= 127, and zero_h is the zero
// point, or without zero points the code of level 0, for int8 0; codes as kernels/grid/values.h decodes them.
// real_h is exact in float32, as acc_h - zero_h * a_sum[m][h] in whatever order: acc_h = sum_k a * code is
// exact in int32, and all three are multiples of the step of zero points (1/64 of 2-bit codes, 1/16 of 4-bit
// ones) below 2^18 of 4-bit codes, 2^16 of 2-bit ones;
// levels of trellis codes, at most 63, less a multiple of 1/2: below 2^20. Bfloat16 forms: A and W are
// bfloat16, k padded with zeros; fma as below, but numbers below 2^-126 are zeros on the way in and out, as
// the instructions have it:
//   kBf16       as vdpbf16ps, k in fours: for each pair i of k, in order:
//                 out = fma(a[2 i + 1], w[2 i + 1], out); out = fma(a[2 i], w[2 i], out)
//   kBf16Tile   as tdpbf16ps, k in steps of 32: for each step, in order:
//                 even = odd = 0; for each pair i of the step, in order:
//                   even = fma(a[2 i], w[2 i], even); odd = fma(a[2 i + 1], w[2 i + 1], odd)
//                 out = out + (even + odd)
// Both are for processors that have the instruction: elsewhere only their oracles run. The float form on the
// same numbers is fast everywhere.
// Epilogue, in this order: + bias[n], GELU, + residual[m][n].
//
// Overflow budget of int32: |a| <= activation_limit(k) (int16) or 128 (int8), |w| <= 127:
//   int8:  128 * 127 * k   < 2^31 for k <= 132,000
//   int16: activation_limit(k) = min(32767, floor((2^31 - 1) / (127 * k)))
// The result is the same bits for every kernel, batch and thread count: the integer sum is exact, float sums
// run over k in order, one fused multiply-add each, and the epilogue is a fixed sequence of IEEE operations.

enum class Activation : uint8_t { kF32, kI8, kI16, kI8Block, kBf16, kBf16Tile };
enum class Weight : uint8_t {
  kF32,
  kF16,
  kBf16,
  kI8,
  kI8Paired,
  kI8Fours,
  kI8Grid,
  kI4Grid,
  kI2Grid,
  kFp4Grid,
  kT2Grid,
  kT3Grid
};
enum class FloatType : uint8_t { kF32, kF16, kBf16 };
enum class Nonlinearity : uint8_t { kNone, kGelu };

// Codes that are bound together: their positive ones add up to 128 at most, their negative ones to -128 at
// least. Their products with numbers in [0, 255] then sum in 16 bits: 255 * 128 = 32640 < 2^15.
//   kI8Paired   neighbours k = 2 i and 2 i + 1: vpmaddubsw is exact
//   kI8Fours    k = 8 i, 8 i + 1, 8 i + 4, 8 i + 5, and the others of 8 i to 8 i + 7: so is the sum of two
//   such
//               results; where the fours of k are odd in number, as kI8Paired
// The same bytes as kI8; bound_of() tells.
enum class Bound : uint8_t { kNone, kPairs, kFours };

// Packed weights, the same on disk and in memory for every ISA (K3), n padded with zeros to 16, 64-byte
// aligned:
//   kF32, kF16, kBf16   panels of 16 outputs: [n / 16][k][16]                            layout name "n16"
//   kI8 and the bound ones   panels of 16 outputs, k in fours, k padded with zeros to 4:
//                [n / 16][k / 4][16][4]                                                  layout name "n16k4"
//   grids        the same rows of 64 bytes with 1, 2 or 4 fours of k in each, or of 3 bits 8 fours in 3 rows
//                (kernels/grid/grid.h)                          layout names "n16k4", "n16k8", "n16k16",
//                "n16k32"
// One row of 64 bytes of n16k4 is at once a zmm for vpdpbusd, four NEON sdot operands and a row of an AMX B
// tile.
constexpr int64_t kPanel = 16;
constexpr int64_t kQuad = 4;

struct Params {
  int64_t m = 0, n = 0, k = 0;
  FloatType a_type = FloatType::kF32;  // of `a`, float forms
  const void* a = nullptr;  // [m, k]; rows padded with zeros to a multiple of 4, but not of float forms
  int64_t a_stride = 0;     // elements between rows
  const float* a_scale = nullptr;   // [m], integer forms; [m, blocks of k], grid forms
  const int32_t* a_zero = nullptr;  // [m] code of 0, or null: 0; needs w_sum
  const int32_t* a_sum = nullptr;   // [m] sum of a row's codes less their zero; needed when w_zero is set;
                                    // grid forms: [m, groups of k] sums of the codes of each
  const void* w = nullptr;          // packed, above
  const float* w_scale = nullptr;   // [n padded to 16], int8 weights
  const float* w_zero = nullptr;    // [n padded to 16] zero points: whole, at most 2^22; null: symmetric
  const int32_t* w_sum = nullptr;   // [n padded to 16] sum over k of an output's codes; null only without
                                    // a_zero, where kernels that bias int8 activations add them up
  Grid grid;                        // weights of a grid
  const float* bias = nullptr;      // [n] or null
  const float* residual = nullptr;  // [m, n] or null; may be c itself
  int64_t residual_stride = 0;
  Nonlinearity nonlinearity = Nonlinearity::kNone;
  float* c = nullptr;  // [m, n]
  int64_t c_stride = 0;
  // The part of the outputs this call computes, on this thread; both are multiples of kPanel, or n_end is n.
  // Threads split n here, and m by moving a, a_scale, a_sum, residual and c.
  int64_t n_begin = 0, n_end = 0;
};

using Function = void (*)(const Params&);

struct Row {
  KernelRow row;
  Activation activation;
  Weight weight;
  int64_t min_m;  // fewest rows this kernel serves
  float cost;     // relative time per multiply-add at large m; select() takes the cheapest that fits
  Function run;
};

std::span<const Row> rows();

// The kernel for a shape on this machine; decided by types, m and what the CPU can do.
const Row& select(Activation activation, Weight weight, int64_t m);

// Largest magnitude of an int16 activation code whose dot product over k cannot overflow int32.
int32_t activation_limit(int64_t k);

// Bytes of packed weights; `group` is that of a grid, else 0.
int64_t packed_bytes(Weight weight, int64_t n, int64_t k, int64_t group = 0);

// How packed kI8 weights are bound; reads them all.
Bound bound_of(int64_t n, int64_t k, const void* packed);

// Row-major [n, k] -> packed. `source` and `packed` hold elements of the weight's type, codes of grids a byte
// each.
void pack(Weight weight, int64_t n, int64_t k, const void* source, void* packed, int64_t group = 0);
// Packed -> row-major [n, k]; the inverse of pack().
void unpack(Weight weight, int64_t n, int64_t k, const void* packed, void* destination, int64_t group = 0);

}  // namespace arrowmind::qmatmul
