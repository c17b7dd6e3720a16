#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::scan {

// Compares one query with many stored codes; nothing is indexed, so nothing has to be built or kept in step.
//   kBits  out[i] = popcount(row[i] ^ query)              query: uint8 [row_bytes]; unused last bits are zero
//   kI8    out[i] = sum_k row[i][k] * query[k]            query: int16 [row_bytes], see query_limit()
//
// Overflow budget of int32: |row| <= 128, |query| <= query_limit(dim) = min(32767, (2^31 - 1) / (128 dim)),
// so every partial sum fits and the result is the same bits for every kernel. A 16-bit query costs the same
// as an 8-bit one (the codes are widened either way) and leaves only the error of the stored codes.
enum class Codes : uint8_t { kBits, kI8 };

struct Params {
  const uint8_t* codes = nullptr;  // [rows, row_bytes], any alignment; int8 for kI8
  int64_t row_bytes = 0;           // bytes of one row, which follow each other without gaps
  const void* query = nullptr;     // padded with zeros to a multiple of kQueryPad elements
  const uint32_t* rows = nullptr;  // row numbers [count], or null for rows first, first + 1 ...
  int64_t first = 0;
  int64_t count = 0;
  int32_t* out = nullptr;  // [count]
};

constexpr int64_t kQueryPad = 32;
constexpr int64_t kMaxRowBytes = 65536;

using Function = void (*)(const Params&);

struct Row {
  KernelRow row;
  Codes codes;
  float cost;  // relative time per row; select() takes the cheapest
  Function run;
};

std::span<const Row> rows();

const Row& select(Codes codes);

// Largest magnitude of a query code whose dot product over `dim` int8 codes cannot overflow int32.
int32_t query_limit(int64_t dim);

// Codes of a float query for kI8: codes[k] = round(query[k] / scale), scale returned. `codes` has room for
// dim padded to kQueryPad. Throws Error(kInvalidArgument) when a value is not finite.
float quantise_query(const float* query, int64_t dim, int16_t* codes);

}  // namespace arrowmind::scan
