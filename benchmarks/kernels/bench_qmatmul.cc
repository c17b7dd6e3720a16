// qmatmul: every row over the shapes of MiniLM, and one matrix larger than the last cache for a single row of
// activations, where reading the weights is all there is.

#include <cstring>
#include <random>

#include "base/aligned_buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "harness.h"
#include "kernels/qmatmul/qmatmul.h"
#include "limits.h"

namespace arrowmind::bench {
namespace {

using qmatmul::Activation;
using qmatmul::Params;
using qmatmul::Row;
using qmatmul::Weight;

struct Shape {
  int64_t m, n, k;
};

// A problem with random operands, packed weights made directly.
class Problem {
 public:
  Problem(const Row& row, Shape shape) : row_(row), shape_(shape) {
    const auto [m, n, k] = shape;
    group_ = row.weight >= Weight::kI8Grid ? 32 : 0;
    const int64_t stride = round_up(k, std::max(qmatmul::kQuad, group_));
    const int64_t padded_n = round_up(n, qmatmul::kPanel);
    fill_weights();
    fill_activations(m * stride);
    scales_.resize((m + padded_n) * 4);
    for (int64_t i = 0; i < m + padded_n; ++i) scales_.as<float>()[i] = 0.001f;
    c_.resize(m * n * 4);
    p.m = m;
    p.n = n;
    p.k = k;
    p.a = a_.as<void>();
    p.a_stride = stride;
    p.w = w_.as<void>();
    p.c = c_.as<float>();
    p.c_stride = n;
    p.n_end = n;
    if (row.weight >= Weight::kI8Grid) add_grid();
    if (row.weight != Weight::kI8 && row.weight != Weight::kI8Paired) return;
    p.w_scale = scales_.as<float>();
    p.a_scale = scales_.as<float>() + padded_n;
    sum_weights();
  }

  double bytes() const {
    const int64_t a = row_.activation == Activation::kF32 ? 4 : row_.activation == Activation::kI16 ? 2 : 1;
    const int64_t per_group = scale_bytes() + (p.grid.zeros != nullptr ? 1 : 0);
    const int64_t scales =
        group_ == 0 ? 0 : round_up(shape_.n, qmatmul::kPanel) * (shape_.k / group_) * per_group;
    return static_cast<double>(qmatmul::packed_bytes(row_.weight, shape_.n, shape_.k, group_) + scales +
                               shape_.m * shape_.k * a + shape_.m * shape_.n * 4);
  }

  // Compares the first and the last panel with the oracle. Throws Error(kKernel) on any difference.
  void check(const Row& oracle) {
    row_.run(p);
    AlignedBuffer expected(shape_.m * shape_.n * 4);
    for (const int64_t n : {int64_t{0}, (shape_.n - 1) / qmatmul::kPanel * qmatmul::kPanel}) {
      Params q = p;
      q.c = expected.as<float>();
      q.n_begin = n;
      q.n_end = std::min(n + qmatmul::kPanel, shape_.n);
      oracle.run(q);
      for (int64_t m = 0; m < shape_.m; ++m) {
        const size_t size = static_cast<size_t>(q.n_end - n) * 4;
        if (std::memcmp(q.c + m * shape_.n + n, p.c + m * shape_.n + n, size) == 0) continue;
        fail(ErrorKind::kKernel, row_.row.name, " differs from ", oracle.row.name, " in row ", m);
      }
    }
  }

  Params p;

 private:
  int64_t scale_bytes() const { return p.grid.scale_type == qmatmul::Scale::kF16 ? 2 : 1; }

  // Groups of 32: int8 and int4 with scales of 16 bits, int2 with scales and zero points of 8, MXFP4.
  void add_grid() {
    using qmatmul::Scale;
    const int64_t padded_n = round_up(shape_.n, qmatmul::kPanel);
    const int64_t groups = shape_.k / group_;
    p.grid.group = group_;
    p.grid.scale_type = row_.weight == Weight::kI2Grid    ? Scale::kU8
                        : row_.weight == Weight::kFp4Grid ? Scale::kE8M0
                                                          : Scale::kF16;
    grid_scales_.resize(padded_n * groups * 2);
    grid_zeros_.resize(padded_n * groups);
    outer_.resize(padded_n * 4);
    for (int64_t i = 0; i < padded_n * groups; ++i) {
      if (scale_bytes() == 2) {
        grid_scales_.as<uint16_t>()[i] =
            static_cast<uint16_t>(0x1400 + (random_() & 0x3ff));  // 0.001 to 0.002
      } else {
        grid_scales_.as<uint8_t>()[i] = static_cast<uint8_t>(100 + random_() % 24);
      }
      grid_zeros_.as<uint8_t>()[i] = static_cast<uint8_t>(random_());
    }
    for (int64_t i = 0; i < padded_n; ++i) outer_.as<float>()[i] = 1e-5f;
    p.grid.scales = grid_scales_.as<void>();
    if (row_.weight == Weight::kI2Grid) {
      p.grid.outer = outer_.as<float>();
      p.grid.zeros = grid_zeros_.as<uint8_t>();
    }
    if (row_.activation == Activation::kI8Block) sum_activations(groups);
  }

  void sum_activations(int64_t groups) {
    for (AlignedBuffer* buffer : {&a_scales_, &a_sums_, &a_weighted_}) buffer->resize(shape_.m * groups * 4);
    for (int64_t i = 0; i < shape_.m * groups; ++i) {
      int32_t sum = 0;
      for (int64_t j = 0; j < group_; ++j) sum += a_.as<int8_t>()[i * group_ + j];
      a_scales_.as<float>()[i] = 0.001f;
      a_sums_.as<int32_t>()[i] = sum;
      a_weighted_.as<float>()[i] = 0.001f * static_cast<float>(sum);
    }
    p.a_scale = a_scales_.as<float>();
    p.a_sum = a_sums_.as<int32_t>();
    p.a_weighted = a_weighted_.as<float>();
  }

  void fill_weights() {
    const int64_t count = round_up(shape_.n, qmatmul::kPanel) * round_up(shape_.k, qmatmul::kQuad);
    w_.resize(count * 4);
    for (int64_t i = 0; i < count; ++i) {
      if (row_.weight == Weight::kF32) {
        w_.as<float>()[i] = unit();
      } else if (row_.weight == Weight::kF16) {
        w_.as<uint16_t>()[i] = static_cast<uint16_t>(0x3800 + (random_() & 0x83ff));  // 0.5 to 1, both signs
      } else if (row_.weight == Weight::kI8Paired) {
        w_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 64.0f);
      } else if (row_.weight == Weight::kI8 || row_.weight == Weight::kI8Grid) {
        w_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 127.0f);
      } else {
        w_.as<uint8_t>()[i] = static_cast<uint8_t>(random_() >> 8);
      }
    }
  }

  void fill_activations(int64_t count) {
    a_.resize(count * 4);
    const auto limit = static_cast<float>(qmatmul::activation_limit(shape_.k));
    for (int64_t i = 0; i < count; ++i) {
      if (row_.activation == Activation::kF32) {
        a_.as<float>()[i] = unit();
      } else if (row_.activation == Activation::kI16) {
        a_.as<int16_t>()[i] = static_cast<int16_t>(unit() * limit);
      } else {
        a_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 127.0f);
      }
    }
  }

  void sum_weights() {
    const int64_t padded_n = round_up(shape_.n, qmatmul::kPanel);
    const int64_t quads = ceil_div(shape_.k, qmatmul::kQuad);
    sums_.resize(padded_n * 4);
    for (int64_t n = 0; n < padded_n; ++n) {
      int32_t sum = 0;
      for (int64_t i = 0; i < quads * qmatmul::kQuad; ++i) {
        const int64_t quad = n / qmatmul::kPanel * quads + i / qmatmul::kQuad;
        sum += w_.as<int8_t>()[(quad * qmatmul::kPanel + n % qmatmul::kPanel) * qmatmul::kQuad +
                               i % qmatmul::kQuad];
      }
      sums_.as<int32_t>()[n] = sum;
    }
    p.w_sum = sums_.as<int32_t>();
  }

  // Uniform in (-1, 1).
  float unit() { return static_cast<float>(static_cast<int32_t>(random_())) * 0x1p-31f * 0.999f; }

  const Row& row_;
  const Shape shape_;
  std::minstd_rand random_{1};
  int64_t group_ = 0;
  AlignedBuffer a_, w_, c_, scales_, sums_, grid_scales_, grid_zeros_, outer_, a_scales_, a_sums_,
      a_weighted_;
};

const Row& oracle_of(const Row& row) {
  for (const Row& other : qmatmul::rows()) {
    if (other.row.isa == Isa::kScalar && other.activation == row.activation && other.weight == row.weight) {
      return other;
    }
  }
  fail(ErrorKind::kKernel, "no scalar row for ", row.row.detail);
}

// The measured limit that bounds a row's arithmetic; empty for an ISA without a probe.
std::string limit_of(const Row& row) {
  const std::string isa(isa_name(row.row.isa));
  if (row.activation == Activation::kF32) return "fma_" + isa;
  if (row.activation == Activation::kI8Block) {
    return (row.row.isa == Isa::kAvx512Vnni ? "dpbusd_" : "maddubs16_") + isa;
  }
  if (row.weight == Weight::kI8Paired && row.row.isa == Isa::kAvx2) return "maddubs_" + isa;
  if (row.row.isa != Isa::kAvx512Vnni) return "maddwd_" + isa;
  return (row.activation == Activation::kI8 ? "dpbusd_" : "dpwssd_") + isa;
}

Result base_result(const Row& row, Shape shape, const Problem& problem) {
  Result result;
  result.op = "qmatmul";
  result.kernel = row.row.name;
  result.shape = cat(shape.m, "x", shape.n, "x", shape.k);
  result.operations = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
  result.bytes = problem.bytes();
  return result;
}

void bench_cached(Report& report, const Row& row, Shape shape) {
  Problem problem(row, shape);
  problem.check(oracle_of(row));
  Result result = base_result(row, shape, problem);
  result.limit = limit_of(row);
  const double before = measure_instruction(result.limit);
  result.timing = time_calls(report.options.seconds, [&] { row.run(problem.p); });
  result.limit_value = std::max(before, measure_instruction(result.limit));
  report.add(result);
}

// One row of activations over weights that no cache holds, outputs split among threads.
void bench_streamed(Report& report, const Row& row) {
  constexpr int64_t kWidth = 4096;
  const int64_t group = row.weight >= Weight::kI8Grid ? 32 : 0;
  const int64_t row_bytes =
      qmatmul::packed_bytes(row.weight, qmatmul::kPanel, kWidth, group) / qmatmul::kPanel;
  const Shape shape{1, round_up(4 * last_level_cache() / row_bytes, 512), kWidth};
  Problem problem(row, shape);
  problem.check(oracle_of(row));
  for (int threads = 1; threads <= report.options.threads; ++threads) {
    Result result = base_result(row, shape, problem);
    result.threads = threads;
    result.limit = cat("read_", threads, "t");
    const int64_t bytes = static_cast<int64_t>(result.bytes);
    const double before = measure_read(bytes, threads);
    ThreadPool pool(threads);
    result.timing = time_calls(std::max(0.5, report.options.seconds), [&] {
      pool.run(shape.n / 512, [&](int64_t task, int) {
        Params part = problem.p;
        part.n_begin = task * 512;
        part.n_end = part.n_begin + 512;
        row.run(part);
      });
    });
    result.limit_value = std::max(before, measure_read(bytes, threads));
    report.add(result);
  }
}

void run(Report& report) {
  constexpr Shape kLayers[] = {
      {0, 384, 384}, {0, 1152, 384}, {0, 1536, 384}, {0, 384, 1536}, {0, 4096, 4096}};
  for (const Row& row : qmatmul::rows()) {
    if (!isa_enabled(row.row.isa) || row.row.name.find(report.options.filter) == std::string_view::npos)
      continue;
    const bool oracle = row.row.isa == Isa::kScalar;
    for (const Shape& layer : kLayers) {
      for (const int64_t m : {1, 8, 64, 256}) {
        const bool large = layer.n * layer.k > 1 << 20;
        if (m > 8 && (oracle || large)) continue;
        bench_cached(report, row, {m, layer.n, layer.k});
      }
    }
    if (!oracle) bench_streamed(report, row);
  }
}

const Registration op("qmatmul", run);

}  // namespace
}  // namespace arrowmind::bench
