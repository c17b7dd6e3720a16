// qmatmul: every row over the shapes of MiniLM, and one matrix larger than the last cache for a single row of
// activations, where reading the weights is all there is.

#include "base/checked.h"
#include "base/thread_pool.h"
#include "harness.h"
#include "limits.h"
#include "qmatmul_problem.h"

namespace arrowmind::bench {
namespace {

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
    result.timing = time_calls(std::max(0.2, report.options.seconds), [&] {
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
        if (oracle ? m > 1 || large : m > 8 && large) continue;  // an oracle is there to be right
        bench_cached(report, row, {m, layer.n, layer.k});
      }
    }
    if (!oracle) bench_streamed(report, row);
  }
}

const Registration op("qmatmul", run);

}  // namespace
}  // namespace arrowmind::bench
