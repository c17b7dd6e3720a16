#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"

// linear_<activations>_<weights> of device/kernels.h: A_F32, A_I8 (with A_I16: of 16 bits) or A_I8B, and W_... of
// vulkan_weights.glsl.
//
// A group computes a panel of 16 outputs for TILE_Y rows. Each of its threads has four outputs and ROWS rows, of every
// SLICES-th 16 k; what the slices summed up is added in the end, in their order.
//
// GROUPED: linear_..._grouped. The rows of a tile and its matrix are all that a group sees; TILE_ROWS is what is TILE_Y else.
#ifndef TILE_ROWS
#define TILE_ROWS TILE_Y
#endif
#define ROW_GROUPS (TILE_ROWS / ROWS)
#define SLICES (THREADS / (4 * ROW_GROUPS))

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint n, k;
  uint a_stride, c_stride, residual_stride, first_column;
  uint flags;
  uint group, groups;
  uint scale_type;
  uint blocks, parts;
  uint block, part;
} p;

#ifdef A_F32
layout(binding = 0) readonly buffer A { float a[]; };
#else
layout(binding = 0) readonly buffer A { uint a[]; };  // codes, in words
#endif
layout(binding = 1) readonly buffer AScale { float a_scale[]; };
layout(binding = 2) readonly buffer AZero { int a_zero[]; };
layout(binding = 3) readonly buffer ASum { int a_sum[]; };
layout(binding = 7) readonly buffer WSum { ivec4 w_sum[]; };
#ifdef GROUPED
layout(binding = 9) readonly buffer Tiles { uint tiles[]; };
#else
layout(binding = 9) readonly buffer Bias { float bias[]; };
layout(binding = 10) buffer Residual { float residual[]; };
#endif
layout(binding = 11) buffer C { float c[]; };

#include "kernels/qmatmul/vulkan_weights.glsl"

#ifdef A_I8
#define SUM ivec4
#else
#define SUM vec4
#endif

shared SUM sums[THREADS * ROWS];

// Four activations of a row, from k = 4 quad on.
#if defined(A_F32)
vec4 activations(uint row, uint quad) {
  const uint k = 4u * quad, at = row * p.a_stride + k;
  if (k + 4u <= p.k) return vec4(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
  vec4 found = vec4(0.0);
  for (uint i = 0u; k + i < p.k; ++i) found[i] = a[at + i];
  return found;
}
#elif defined(A_I16)
ivec4 activations(uint row, uint quad) {
  const uint at = row * (p.a_stride / 2u) + 2u * quad;
  return ivec4(int(a[at] << 16), int(a[at]), int(a[at + 1u] << 16), int(a[at + 1u])) >> 16;
}
#else
ivec4 activations(uint row, uint quad) {
  return signed_bytes(a[row * (p.a_stride / 4u) + quad]);
}
#endif

#ifdef A_I8

// value - a * b rounded once, for whole numbers: not every device fuses.
float minus_product(float value, int x, int y) {
  int high, low;
  imulExtended(x, y, high, low);
  // A sum just below 2^31 has become 2^31.
  const bool is_most = value == 2147483648.0;
  const int whole = is_most ? 0 : int(value);
  uint borrow;
  uint least = usubBorrow(is_most ? 0x80000000u : uint(whole), uint(low), borrow);
  uint most = uint((whole >> 31) - high) - borrow;
  const bool negative = int(most) < 0;
  if (negative) {
    least = ~least + 1u;
    most = ~most + (least == 0u ? 1u : 0u);
  }
  float magnitude = float(least);
  if (most != 0u) {
    const uint shift = uint(findMSB(most)) + 1u;
    const uint lost = least << (32u - shift);
    magnitude = float(most << (32u - shift) | least >> shift | (lost != 0u ? 1u : 0u)) * float(1u << shift);
  }
  return negative ? -magnitude : magnitude;
}

// Integer sums as real values, to the bit as on the CPU.
vec4 real_values(ivec4 sum, uint row, uint quarter) {
  precise vec4 value = vec4(sum);
  if ((p.flags & kHasAZero) != 0u) {
    [[unroll]] for (uint i = 0u; i < 4u; ++i) value[i] = minus_product(value[i], a_zero[row], w_sum[quarter][i]);
  }
  if ((p.flags & kHasZeros) != 0u) {
    const int row_sum = int(float(a_sum[row]));
    [[unroll]] for (uint i = 0u; i < 4u; ++i) value[i] = minus_product(value[i], row_sum, int(zeros[quarter][i]));
  }
  precise vec4 scale = a_scale[row] * scales[quarter];
  value = value * scale;
  return value;
}

#elif defined(W_I8)
vec4 real_values(vec4 sum, uint row, uint quarter) {
  return sum * scales[quarter];
}
#else
vec4 real_values(vec4 sum, uint row, uint quarter) {
  return sum;
}
#endif

void finish(uint row, uint column, float sum) {
  precise float value = sum;
  const uint to = p.first_column + column;
#ifndef GROUPED
  if ((p.flags & kHasBias) != 0u) value = value + bias[column];
  if ((p.flags & kIsGelu) != 0u) value = gelu_of(value);
  if ((p.flags & kHasResidual) != 0u) value = value + residual[row * p.residual_stride + to];
#endif
  c[row * p.c_stride + to] = value;
}

void main() {
  const uint lane = gl_LocalInvocationIndex;
  const uint part = lane & 3u, row_group = lane / 4u % ROW_GROUPS, slice = lane / (4u * ROW_GROUPS);
#ifdef GROUPED
  const uint tile = 3u * gl_WorkGroupID.y;
  const uint first_row = tiles[tile + 1u], end_row = first_row + tiles[tile + 2u];
  if (first_row == end_row) return;
  const uint first_panel = tiles[tile] * ((p.n + 15u) / 16u);
#else
  const uint first_row = gl_WorkGroupID.y * TILE_ROWS, end_row = p.rows, first_panel = 0u;
#endif
  const uint panel = first_panel + gl_WorkGroupID.x;
  const uint own_row = first_row + row_group * ROWS;
  const uint own_rows = own_row < end_row ? min(end_row - own_row, ROWS) : 0u;
#if defined(W_T2G) || defined(W_T3G)
  open_tables();
#endif

  SUM total[ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) total[r] = SUM(0);
  const uint units = (p.k + 15u) / 16u;
#if !defined(IS_GRID) && defined(A_F32) && defined(W_I8)
  const vec4 zero = (p.flags & kHasZeros) != 0u ? zeros[4u * panel + part] : vec4(0.0);
#endif
  for (uint unit = slice; unit < units; unit += SLICES) {
    open_unit(panel, part, unit);
#ifdef IS_GRID
    const vec4 scale = unit_scales(panel, part, unit), zero = unit_zeros(panel, part, unit);
    vec4 real[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) real[r] = vec4(0.0);
#else
#define real total
#endif
    [[unroll]] for (uint quad = 0u; quad < 4u; ++quad) {
      const uint at = 4u * unit + quad;
      if (4u * at < p.k) {
#if defined(A_I8)
        const ivec4 w0 = codes(quad, 0u), w1 = codes(quad, 1u), w2 = codes(quad, 2u), w3 = codes(quad, 3u);
#elif defined(IS_GRID) || defined(W_I8)
        const vec4 w0 = levels(quad, 0u) - zero, w1 = levels(quad, 1u) - zero, w2 = levels(quad, 2u) - zero,
                   w3 = levels(quad, 3u) - zero;
#else
        const vec4 w0 = levels(quad, 0u), w1 = levels(quad, 1u), w2 = levels(quad, 2u), w3 = levels(quad, 3u);
#endif
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
          if (r < own_rows) {
            const SUM x = SUM(activations(own_row + r, at));
            real[r] += x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3;
          }
        }
      }
    }
#ifdef IS_GRID
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
#ifdef A_I8B
      if (r < own_rows) total[r] += real[r] * scale * a_scale[(own_row + r) * p.blocks + 16u * unit / p.block];
#else
      total[r] += real[r] * scale;
#endif
    }
#endif
  }
#undef real

  [[unroll]] for (uint r = 0u; r < ROWS; ++r) sums[(slice * TILE_ROWS + row_group * ROWS + r) * 4u + part] = total[r];
  barrier();
  for (uint item = lane; item < 4u * TILE_ROWS; item += THREADS) {
    const uint row = first_row + item / 4u;
    if (row >= end_row) continue;
    SUM sum = sums[item];
    for (uint i = 1u; i < SLICES; ++i) sum += sums[i * 4u * TILE_ROWS + item];
    const vec4 value = real_values(sum, row, 4u * panel + (item & 3u));
    const uint first_column = 16u * gl_WorkGroupID.x + 4u * (item & 3u);
    [[unroll]] for (uint i = 0u; i < 4u; ++i) {
      if (first_column + i < p.n) finish(row, first_column + i, value[i]);
    }
  }
}
