#pragma once

// The kernels that a back end has for models: names, places, parameters, work. One contract for the cpu
// device, CUDA, HIP, Metal and Vulkan, whose blocks of push constants have the same members in the same
// order.
//
// Work: a kernel is launched over a grid of items in three directions; describe_kernel() of the back end says
// how many items a group of it serves in each. Items beyond the work do nothing. Every block of parameters of
// a plan's operator begins with `rows` and `sequences` of the micro-batch, which are filled in when it runs.
//
// Places are bound in the order given here. A place that a call does not use, as its flag says, is bound to
// other memory of the same device, and not looked at. Everything lies at multiples of 4 bytes and is followed
// by memory up to one, so that kernels may read bytes and halves in words. Offsets within a place are below
// 2^32 elements of 4 bytes. Places that are written do not overlap others, but where it says that they may.
//
// `stride`, `first`, `step`: float32 elements, or int8 codes, between rows, before the first column, between
// pieces. float32 sums may run in any order and may be fused; integer sums are exact; rounding is to nearest
// even. exp, tanh, erf to about 1e-6. A NaN makes NaN of what depends on it.
// Weights: kernels/qmatmul/qmatmul.h (packed layouts and formulas) and kernels/grid/grid.h, trellis.h.

#ifndef __METAL_VERSION__
#include <cstdint>
#endif

namespace arrowmind::device {

// fill_u32 and add_f32 prove a back end: every one has them, whether it runs models or not.
//   fill_u32   places: out [count]; out[i] = value                         work: {count}
//   add_f32    places: a, b, out [count]; out[i] = a[i] + b[i]             work: {count}
struct FillParameters {
  uint32_t count, value;
};
struct AddParameters {
  uint32_t count;
};

// Bits of `flags` of any kernel.
enum KernelFlag : uint32_t {
  kHasBias = 1u << 0,
  kHasResidual = 1u << 1,
  kHasZeros = 1u << 2,    // zero points of weights
  kHasOuter = 1u << 3,    // Grid::outer
  kHasAZero = 1u << 4,    // a_zero and w_sum: codes of activations have a code of 0
  kAccumulate = 1u << 5,  // add to what is there
  kHasMultiplier = 1u << 6,
  kHasBeta = 1u << 7,
  kCausal = 1u << 8,
  kNormalise = 1u << 9,
  kGated = 1u << 10,
  kInterleaved = 1u << 11,
  kIsGelu = 1u << 12,
};

// Grid::scale_type; grid::Scale has the same order.
enum ScaleType : uint32_t { kScaleF32 = 0, kScaleF16 = 1, kScaleU8 = 2, kScaleE8M0 = 3, kScaleE4M3 = 4 };

// linear_<activations>_<weights>: c = epilogue(a x weights)               work: {n, rows}
//   activations: f32; i8 (a code of 0 per row); i16 (its code of 0 is 0); i8b (in blocks)
//   weights: f32, f16, bf16, i8 with f32; i8 with i8 and i16; i8g, i4g, i2g, fp4g, t2g, t3g with f32 and i8b
// places:
//   0 a         f32 [rows][a_stride], or int8 or int16 codes in rows of a_stride codes (a multiple of 4)
//   1 a_scale   f32 [rows] (i8, i16), [rows][blocks] (i8b)
//   2 a_zero    i32 [rows] (i8)
//   3 a_sum     i32 [rows] (i8, i16), [rows][parts] (i8b)
//   4 w         packed
//   5 w_scale   f32 [n padded to 16] (i8 weights); grids: scales [n / 16][groups][16]
//   6 w_zero    f32 [n padded to 16] (i8 weights); grids: bytes like the scales
//   7 w_sum     i32 [n padded to 16] (i8 with i8)
//   8 outer     f32 [n padded to 16] (grids)
//   9 bias      f32 [n]
//   10 residual f32 [rows][residual_stride]; may be c
//   11 c        f32 [rows][c_stride]
// Columns of bias count from 0, those of residual and c from first_column.
// A back end may also have linear_..._few, for at most kFewRows rows, which is used for these.
// A back end may also have linear_bf16_<weights> and its _grouped: linear_f32_<weights> with activations
// rounded to the nearest bfloat16, weights of f32 and f16 likewise; and linear_bf16_<weights>_wide, which may
// round a grid's weights, too, and is used where the work makes kWideGroups groups of it or more. And
// linear_bf16_<weights>_wgmma: the same results but for the order of sums, place 1 holding the rows as
// round_rows gives them; used in place of _wide from kWgmmaRows rows and kWgmmaOutputs outputs on.
struct LinearParameters {
  uint32_t rows, sequences;
  uint32_t n, k;
  uint32_t a_stride, c_stride, residual_stride, first_column;
  uint32_t flags;          // kHasBias, kHasResidual, kHasZeros, kHasOuter, kHasAZero, kIsGelu
  uint32_t group, groups;  // of a grid: k per scale, 0: all of an output; scales of an output
  uint32_t scale_type;
  uint32_t blocks, parts;  // i8b: scales and sums of a row
  uint32_t block, part;    // i8b: k of each
};

constexpr uint32_t kFewRows = 8;
constexpr uint32_t kWideGroups = 128;  // about what a large card runs at a time
// A tile of rows; and as many outputs as make rounding the rows a small part of the whole.
constexpr uint32_t kWgmmaRows = 128, kWgmmaOutputs = 2048;

// round_rows: rows as bfloat16 for linear_bf16_<weights>_wgmma                    work: {pieces of 16 k,
// rows} places: in f32 [rows][in_stride], out bf16 [rows][width padded to 64] Zeros behind `width`. Of each
// 64 numbers those of k = 16 t + 4 s + 2 h + i stand at 16 s + 8 h + 2 t + i (t, s below 4, h, i below 2):
// the order in which products of matrices meet the file's fours of weights.
struct RoundRowsParameters {
  uint32_t rows, sequences;
  uint32_t width, in_stride;
};
constexpr uint32_t kRoundedStep = 16, kRoundedChunk = 64;

// linear_<activations>_<weights>_grouped: rows that stand in groups, of which each meets a matrix of its own
//                                                                            work: {n, tiles}
// places: as above, but
//   0 to 3, 11  rows as group_rows orders them
//   4 to 8      those of all matrices, each as above and one behind the other without a gap
//   9 tiles     u32 [tiles][3]: a matrix, the first row, how many rows
//   10          not looked at
// `rows` is the number of tiles, most_tiles(). Flags: kHasZeros, kHasOuter, kHasAZero.
// A tile has at most kGroupedRows rows, or none. A back end may also have linear_..._grouped_few, which is
// used for tiles of at most kFewRows rows.
constexpr uint32_t kGroupedRows = 32;

// embed: out[t] = row of a table, or added to what is there                work: {width, rows}
// places: index i32 [rows], data, scales, zeros, outer, out f32 [rows][out_stride]
//   element kEmbedI8: scales and zeros f32 [table rows]; grids: scales and zeros [table rows][groups],
//   outer f32 [table rows]. Rows of the table are bytes_of(width) bytes, rounded up, one behind the other.
enum EmbedElement : uint32_t {
  kEmbedF32 = 0,
  kEmbedF16 = 1,
  kEmbedBf16 = 2,
  kEmbedI8 = 3,
  kEmbedI8Grid = 4,
  kEmbedI4Grid = 5,
  kEmbedI2Grid = 6,
  kEmbedFp4Grid = 7
};
enum EmbedIndex : uint32_t { kIndexGiven = 0, kIndexFirst = 1 };  // index[t], or row 0 for all
struct EmbedParameters {
  uint32_t rows, sequences;
  uint32_t width, out_stride, row_bytes;
  uint32_t element, index;
  uint32_t flags;  // kAccumulate, kHasZeros, kHasOuter
  uint32_t group, groups, scale_type;
};

// norm: kernels/norm/norm.h, of `pieces` pieces of `width` columns of a row  work: {1, rows, pieces}
// places: x, gamma f32 [width], beta f32 [width], y; y may be x
struct NormParameters {
  uint32_t rows, sequences;
  uint32_t x_stride, y_stride, first, width, pieces;
  float epsilon;
  uint32_t flags;  // kHasBeta: layer norm; else RMS norm
};

// quantise_i8, quantise_i16, quantise_i8b: kernels/quantise/quantise.h      work: {1, rows}; {blocks, rows}
//   i16: codes up to qmatmul::activation_limit(width), whose products with int8 add up within 32 bits
// places: x f32, multiplier f32 [width], codes (rows of `stride` codes, padded with zero codes), scale f32,
//   sum i32, zero i32 (i8)
struct QuantiseParameters {
  uint32_t rows, sequences;
  uint32_t x_stride, stride, width;
  uint32_t flags;          // kHasMultiplier
  uint32_t blocks, parts;  // i8b, of a row
  uint32_t block, part;
};

// attention: kernels/attention/attention.h, q, k and v side by side          work: {1, rows, heads}
// places: qkv f32 [rows][in_stride], offsets i32 [sequences + 1], sequence_of i32 [rows], out f32
struct AttentionParameters {
  uint32_t rows, sequences;
  uint32_t heads, key_heads, head_dim;
  uint32_t in_stride, out_stride;
  uint32_t flags;    // kCausal
  uint32_t window;   // 0: no bound
  float scale, cap;  // cap 0: none
};

// A back end may also have attention_rows and cached_attention_rows, which do the same for the same, and are
// used where there are kRowsTogether times as many rows as sequences or more: rows of a sequence share what
// they read.
constexpr uint32_t kRowsTogether = 4;

// pool: kernels/pool/pool.h                                                  work: {1, sequences}
// places: x f32 [rows][x_stride], offsets i32 [sequences + 1], out f32 [sequences][width]
enum PoolMode : uint32_t { kPoolMean = 0, kPoolFirst = 1, kPoolLast = 2 };
struct PoolParameters {
  uint32_t rows, sequences;
  uint32_t width, x_stride;
  uint32_t mode;
  uint32_t flags;  // kNormalise
};

// activate: kernels/activate/activate.h                                      work: {width, rows}
// places: x, out; may be the same. kGated: `up` is the `width` columns behind those of x.
enum Activation : uint32_t { kSilu = 0, kGelu = 1, kGeluTanh = 2, kCap = 3, kQuickGelu = 4 };
struct ActivateParameters {
  uint32_t rows, sequences;
  uint32_t width, x_stride, out_stride;
  uint32_t kind;
  float cap;
  uint32_t flags;  // kGated
};

// sum: out += in. multiply: out = in * multiplier[column], in and out may be the same. work: {width, rows}
// places: in, out; in, multiplier, out
struct ColumnsParameters {
  uint32_t rows, sequences;
  uint32_t width, in_stride, out_stride;
};

// copy: piece h of `count` from column from_first + h * from_step to to_first + h * to_step.
//   clear: zeros there instead. places: in, out (clear: out, out)           work: {width, rows, count}
struct CopyParameters {
  uint32_t rows, sequences;
  uint32_t width, in_stride, out_stride;
  uint32_t count, from_first, from_step, to_first, to_step;
};

// previous: columns from_first of row t - 1 to columns to_first of row t, zeros where position[t] is 0; one
//   piece (`count` 1), `in` is not `out`                                    work: {width, rows}
// places: in, position i32 [rows], out; CopyParameters

// rope: kernels/rope/rope.h                                                  work: {rotated / 2, rows, heads}
// places: x f32 (in place), turns f32 [rows][turns_stride]
struct RopeParameters {
  uint32_t rows, sequences;
  uint32_t x_stride, first, heads, head_dim, rotated, turns_stride;
  uint32_t flags;  // kInterleaved
};

// cross_attention: kernels/cross_attention/cross_attention.h, of rows to those that their sequence looks at
//                                                                            work: {1, rows, heads}
// places: q f32 [rows][q_stride], looked f32 [][looked_stride]: keys from column `keys` on, values from
//   `values` on, looked_offsets i32 [sequences + 1] (rows of looked; one at least for each), sequence_of i32
//   [rows], out f32 [rows][out_stride]
struct CrossAttentionParameters {
  uint32_t rows, sequences;
  uint32_t heads, head_dim;
  uint32_t q_stride, out_stride, looked_stride;
  uint32_t keys, values;
  float scale;
};

// highest: of each row the largest, and its column: of equals the first. A NaN anywhere makes NaN of the row
//                                                                            work: {1, rows}
// places: in f32 [rows][in_stride], out u32 [rows][out_stride]: the column, then the bits of the largest;
//   ColumnsParameters. Of a row with NaN the column may be any.

// candidates: of each row the `count` largest, best first, of equals the first; and sums over all of it
//                                                                            work: {1, rows}
// places: in f32 [rows][in_stride], temperatures f32 [rows][sums], out u32 [rows][out_stride]: `count`
//   columns, the bits of their values, the bits of `sums` sums of exp((x - largest) / temperature)
// Behind the end of a row that is shorter: kNoColumn and -inf. A NaN anywhere makes NaN of the first value;
// what else there is of such a row, and the sums of one whose largest is infinite, may be any.
// A sum is taken in kSumLanes lanes, element k in lane k mod kSumLanes, each in the order of k; then lane i
// takes lane i + half, half from kSumLanes / 2 down to 1. It is within 1e-5 + width / 2^34 of itself from the
// exact one, whatever the temperature.
struct CandidatesParameters {
  uint32_t rows, sequences;
  uint32_t width, in_stride, out_stride;
  uint32_t count, sums;  // count: kMostCandidates at most
};
constexpr uint32_t kMostCandidates = 256, kSumLanes = 1024;
constexpr uint32_t kNoColumn = 0xffffffffu;

// --- language models: keys and values in pages, routed feed-forwards

// Pages lie as kernels/cached_attention/cached_attention.h says, those of a group of layers in one buffer.
// `table` i32 [sequences][table_stride]: where each page of a sequence begins in it, in words of 4 bytes
// (unsigned), kNoPage where there is none. `place_of` i32 [rows]: the place of a row in the pages of its
// sequence, which is not its position where pages were taken out.
enum PageFormat : uint32_t { kPageF32 = 0, kPageF16 = 1, kPageI8 = 2, kPageK4V4 = 3, kPageK4V3 = 4 };
constexpr uint32_t kNoPage = 0xffffffffu;

// Where a layer lies in a page: head h of keys has `head_bytes` bytes from `first_byte` + h * head_bytes on;
// `values`, `key_scales` and `value_scales` count from there, keys begin it. All are multiples of 4.
struct PagePart {
  uint32_t format;  // cached_attention::Format
  uint32_t first_byte, head_bytes, values, key_scales, value_scales;
};

// cache_write: keys and values of new rows to their places                   work: {1, rows, key_heads}
// places: qkv f32 [rows][in_stride] (query | key | value), table, sequence_of i32 [rows], place_of,
//   signs f32 [head_dim] (turned), pages
// Tokens beside each other share words of keys, and of scales: they are not to undo each other's writes.
struct CacheWriteParameters {
  uint32_t rows, sequences;
  uint32_t heads, key_heads, head_dim, in_stride;
  uint32_t page_tokens, table_stride;
  uint32_t turned;  // whether keys and values are behind a rotation
  PagePart full;
};

// cache_shrink: pages in float16 become pages of 4 and 3 bits                work: {tokens / 16, rows, heads}
// places: list u32 [rows][2] (a page, and where it is to be small, in words of their buffers), pages, small
// Of a page, all is written but what is behind the scales.
struct CacheShrinkParameters {
  uint32_t rows, sequences;  // rows: pages
  uint32_t key_heads, head_dim, page_tokens;
  PagePart full, small;
};

// cached_attention: each row sees tokens [max(0, place + 1 - window), place] of its sequence
//                                                                            work: {1, rows, heads}
// places: qkv, table, sequence_of, place_of, signs, pages, small, out f32 [rows][out_stride]
// What is behind a row's own token in its page may hold anything finite.
// Small pages (small_table > 0): page i is read from `small`, from word table[small_table + ...] on, where
// `table` has kNoPage for it, or i is `first_small` or more and ends `recent` or more tokens before the end
// of what the row sees.
struct CachedAttentionParameters {
  uint32_t rows, sequences;
  uint32_t heads, key_heads, head_dim, in_stride;
  uint32_t page_tokens, table_stride;
  uint32_t turned;
  PagePart full, small;
  uint32_t small_table, first_small, recent;
  uint32_t out_stride, window;  // window 0: no bound
  float scale, cap;             // cap 0: none
};

// route: kernels/route/route.h                                               work: {1, rows}
// places: x f32 [rows][x_stride], bias f32 [experts], out f32 [rows][out_stride]: `top` numbers of experts,
//   then their weights
struct RouteParameters {
  uint32_t rows, sequences;
  uint32_t x_stride, out_stride, experts, top;
  uint32_t is_sigmoid;  // scores; else softmax
  uint32_t groups, kept;
  uint32_t sums_two;  // a group is the sum of its two largest; else its largest
  float factor;
  uint32_t flags;  // kHasBias, kNormalise
};

// group_rows: the pairs (t, r) of rows and their `top` experts in the order of experts, of one expert in that
//   of t and r; and what products of them are split into                     work: {experts, 1}
// places: route f32 [rows][route_stride], as `route` gives it; from i32 [rows * top]: the row t of each place
//   in that order; to i32 [rows * top]: the place of pair t * top + r; tiles u32 [most_tiles()][3]: an
//   expert, the first place and the number of places, at most `tile`; 0: there is nothing to do
// What is no number of an expert counts as the nearest one, a NaN as 0.
struct GroupRowsParameters {
  uint32_t rows, sequences;
  uint32_t route_stride, top, experts, tile;
};

// Tiles of at most `tile` out of `pairs` in so many groups, at the most. So many of them begin before group
// number `groups` where that begins at place `pairs`.
constexpr uint32_t most_tiles(uint32_t pairs, uint32_t groups, uint32_t tile) {
  const uint32_t parts = pairs / tile + groups;
  return pairs < parts ? pairs : parts;
}

// scale_rows: out[t] *= in[t][1]                                             work: {width, rows}
// places: in, out; ColumnsParameters

// move_rows: row to[i] of out = row from[i] of in, words of 4 bytes          work: {width, rows}
// places: in, from i32 [rows], to i32 [rows], out. Without a list its row is i. Rows of `to` are distinct.
constexpr uint32_t kHasFrom = 1u << 13, kHasTo = 1u << 14;
struct MoveRowsParameters {
  uint32_t rows, sequences;
  uint32_t width, in_stride, out_stride;  // words
  uint32_t flags;                         // kHasFrom, kHasTo
};

// combine: out[t] = residual[t] + sum of weight[t][r] * in[t * top + r], r ascending, products rounded, then
//   the sum; with kHasFrom of in[from[t * top + r]]                          work: {width, rows}
// places: in f32 [rows * top][in_stride], weights f32 [rows][weights_stride] from column `top` on,
//   residual f32 [rows][residual_stride] (may be out), out f32 [rows][out_stride], from i32 [rows * top]
struct CombineParameters {
  uint32_t rows, sequences;
  uint32_t width, top;
  uint32_t in_stride, weights_stride, residual_stride, out_stride;
  uint32_t flags;  // kHasResidual, kHasFrom
};

}  // namespace arrowmind::device
