#pragma once

// What the benchmarks of the float ops have in common: operands, and the loop over the rows of a table.

#include <algorithm>
#include <cstring>
#include <random>
#include <span>
#include <string>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "harness.h"
#include "kernels/registry.h"
#include "limits.h"

namespace arrowmind::bench {

// `count` floats of a normal distribution, the same in every run.
inline AlignedBuffer normal_floats(int64_t count) {
  AlignedBuffer buffer(std::max<int64_t>(count, 1) * 4);
  std::minstd_rand random{1};
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < count; ++i) buffer.as<float>()[i] = normal(random);
  return buffer;
}

// One case of an op: what it costs, and the result whose bits every row must give.
struct FloatCase {
  std::string shape;
  double operations = 0;  // of one call, multiply-adds counted twice; 0: not bound by arithmetic
  double bytes = 0;       // read and written by one call
  const void* output = nullptr;
  size_t output_bytes = 0;
};

// Times every enabled row that is no oracle and that `fits` accepts; `call(row)` runs it on the case. Throws
// Error(kKernel) when a row's output differs from the scalar row's in any bit.
template <typename Row, typename Fits, typename Call>
void bench_rows(Report& report, std::span<const Row> rows, const FloatCase& what, const Fits& fits,
                const Call& call) {
  std::string expected;
  for (const Row& row : rows) {
    if (row.row.isa != Isa::kScalar || !fits(row)) continue;
    call(row);
    expected.assign(static_cast<const char*>(what.output), what.output_bytes);
  }
  for (const Row& row : rows) {
    const bool chosen = row.row.name.find(report.options.filter) != std::string_view::npos;
    if (row.row.isa == Isa::kScalar || !isa_enabled(row.row.isa) || !fits(row) || !chosen) continue;
    call(row);
    if (std::memcmp(what.output, expected.data(), what.output_bytes) != 0) {
      fail(ErrorKind::kKernel, row.row.name, " differs from the scalar row at ", what.shape);
    }
    Result result;
    result.op = row.row.op;
    result.kernel = row.row.name;
    result.shape = what.shape;
    result.operations = what.operations;
    result.bytes = what.bytes;
    if (what.operations > 0) result.limit = cat("fma_", isa_name(row.row.isa));
    const double before = measure_instruction(result.limit);
    result.timing = time_calls(report.options.seconds, [&] { call(row); });
    result.limit_value = std::max(before, measure_instruction(result.limit));
    report.add(result);
  }
}

}  // namespace arrowmind::bench
