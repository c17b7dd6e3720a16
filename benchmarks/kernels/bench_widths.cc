// Weights of every width against one another, on the shapes of language models and of MiniLM: all rows of a
// shape take turns, each turn beside a probe of what bounds it, and shares and ratios are medians over turns.
//
//   gemv   one row of activations, copies of the weights in turn that no cache holds together
//   gemm   256 rows
//
// Of each width the row that select() takes here; "int8" is for any codes, "int8-paired" for codes in bounded
// pairs, "int8-groups" has a scale for each 32, "int2-g64" one for each 64.

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "harness.h"
#include "limits.h"
#include "qmatmul_problem.h"
#include "runtime/execution.h"

namespace arrowmind::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kReference = "int8-paired";
constexpr int64_t kGrain = 1 << 18, kUnit = 4;  // as in the plan's linear layers

double seconds_of(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One width: seconds of a call in each turn, and of its limit in that turn (Gop/s or GB/s).
struct Lane {
  const char* width = "";
  const Row* row = nullptr;
  std::unique_ptr<Problem> problem;
  int64_t copies = 1;
  std::vector<double> seconds, limits;

  double bytes() const { return problem->bytes(); }
};

std::vector<Lane> make_lanes(Shape shape, const std::string& filter, int64_t total_bytes) {
  constexpr struct {
    const char* width;
    Activation activation;
    Weight weight;
    int64_t group = 0;  // 0: the usual one
  } kWidths[] = {{"int8-paired", Activation::kI8, Weight::kI8Paired},
                 {"int8-fours", Activation::kI8, Weight::kI8Fours},
                 {"int8", Activation::kI8, Weight::kI8},
                 {"int8-groups", Activation::kI8Block, Weight::kI8Grid},
                 {"int4", Activation::kI8Block, Weight::kI4Grid},
                 {"int2", Activation::kI8Block, Weight::kI2Grid},
                 {"int2-g64", Activation::kI8Block, Weight::kI2Grid, 64},
                 {"int2-g128", Activation::kI8Block, Weight::kI2Grid, 128},
                 {"fp4", Activation::kI8Block, Weight::kFp4Grid},
                 {"trellis2", Activation::kI8Block, Weight::kT2Grid},
                 {"trellis3", Activation::kI8Block, Weight::kT3Grid}};
  std::vector<Lane> lanes;
  for (const auto& [width, activation, weight, group] : kWidths) {
    const Row* row = &qmatmul::select(activation, weight, shape.m);
    const bool is_bound = weight == Weight::kI8Paired || weight == Weight::kI8Fours;
    const Row& any = qmatmul::select(activation, is_bound ? Weight::kI8 : weight, shape.m);
    if (any.cost < row->cost) row = &any;
    if (std::string_view(width) != kReference && row->row.name.find(filter) == std::string_view::npos)
      continue;
    Lane lane;
    lane.width = width;
    lane.row = row;
    lane.problem = std::make_unique<Problem>(*row, shape, group > 0 ? group : usual_group(*row));
    lane.problem->check(oracle_of(*row));
    lane.copies = std::max<int64_t>(1, total_bytes / static_cast<int64_t>(lane.bytes()));
    lane.problem->replicate(lane.copies);
    lanes.push_back(std::move(lane));
  }
  return lanes;
}

// Seconds of one call, from a call of every copy.
double take_turn(Lane& lane, Shape shape, ThreadPool& pool) {
  // Cut as the plan's linear layers cut it (runtime/ops/linear.cc).
  const int64_t panels = ceil_div(shape.n, qmatmul::kPanel);
  const int64_t unit = panels >= 4 * kUnit * pool.threads() ? kUnit : 1, units = ceil_div(panels, unit);
  const int64_t grain = std::max<int64_t>(1, units * kGrain / (shape.m * shape.n * shape.k));
  const int64_t tasks = std::max<int64_t>(1, runtime::parts_of(units, grain, pool.threads()));
  const double seconds = seconds_of([&] {
    for (int64_t copy = 0; copy < lane.copies; ++copy) {
      const Params all = lane.problem->copy(copy);
      pool.run(tasks, [&](int64_t task, int) {
        Params part = all;
        part.n_begin = units * task / tasks * unit * qmatmul::kPanel;
        part.n_end = std::min(shape.n, units * (task + 1) / tasks * unit * qmatmul::kPanel);
        lane.row->run(part);
      });
    }
  });
  return seconds / static_cast<double>(lane.copies);
}

Result result_of(const Lane& lane, const Lane& reference, const char* op, Shape shape, int threads) {
  Result result;
  result.op = op;
  result.kernel = lane.row->row.name;
  result.width = lane.width;
  result.shape = cat(shape.m, "x", shape.n, "x", shape.k);
  result.threads = threads;
  result.operations = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
  result.bytes = lane.bytes();
  result.timing = {*std::min_element(lane.seconds.begin(), lane.seconds.end()), median(lane.seconds)};
  const double amount = shape.m == 1 ? result.bytes : result.operations;
  std::vector<double> shares, speeds;
  for (size_t turn = 0; turn < lane.seconds.size(); ++turn) {
    shares.push_back(amount / 1e9 / lane.seconds[turn] / std::max(lane.limits[turn], 1e-9));
    speeds.push_back(reference.seconds[turn] / lane.seconds[turn]);
  }
  result.limit = shape.m == 1 ? cat("read_", threads, "t") : limit_of(*lane.row);
  result.limit_value = median(lane.limits);
  result.race_share = result.limit_value > 0 ? median(shares) : 0;
  result.race_speed = median(speeds);
  return result;
}

void report_lanes(Report& report, const std::vector<Lane>& lanes, const char* op, Shape shape, int threads) {
  for (const Lane& lane : lanes) report.add(result_of(lane, lanes.front(), op, shape, threads));
}

void race_gemv(Report& report, Shape shape) {
  const int64_t bytes = 4 * last_level_cache();
  std::vector<Lane> lanes = make_lanes(shape, report.options.filter, bytes);
  for (int threads = 1; threads <= report.options.threads; ++threads) {
    ThreadPool pool(threads);
    ReadProbe probe(bytes, threads);
    const int turns = std::max(5, static_cast<int>(report.options.seconds * 100));
    for (Lane& lane : lanes) lane.seconds.clear(), lane.limits.clear();
    for (int turn = 0; turn < turns; ++turn) {
      for (Lane& lane : lanes) {
        lane.limits.push_back(probe.bytes() / 1e9 / seconds_of([&] { probe(); }));
        lane.seconds.push_back(take_turn(lane, shape, pool));
      }
    }
    report_lanes(report, lanes, "gemv", shape, threads);
  }
}

void race_gemm(Report& report, Shape shape) {
  std::vector<Lane> lanes = make_lanes(shape, report.options.filter, 1);
  const double operations = static_cast<double>(shape.m * shape.n * shape.k);
  for (int threads = 1; threads <= report.options.threads; ++threads) {
    ThreadPool pool(threads);
    // About as many turns as fit the time at 100 Gop/s, and more where a call is short.
    const int turns = std::clamp(static_cast<int>(report.options.seconds * 5e10 / operations), 5, 25);
    for (Lane& lane : lanes) lane.seconds.clear(), lane.limits.clear();
    for (int turn = 0; turn < turns; ++turn) {
      for (Lane& lane : lanes) {
        lane.limits.push_back(measure_instruction(limit_of(*lane.row), threads));
        take_turn(lane, shape, pool);
        lane.seconds.push_back(take_turn(lane, shape, pool));
      }
    }
    report_lanes(report, lanes, "gemm", shape, threads);
  }
}

void run_gemv(Report& report) {
  for (const Shape& shape : {Shape{1, 896, 4864}, Shape{1, 4096, 11008}}) race_gemv(report, shape);
}

void run_gemm(Report& report) {
  for (const Shape& shape :
       {Shape{256, 1536, 384}, Shape{256, 384, 1536}, Shape{256, 896, 4864}, Shape{256, 4096, 11008}}) {
    race_gemm(report, shape);
  }
}

const Registration gemv("gemv", run_gemv);
const Registration gemm("gemm", run_gemm);

}  // namespace
}  // namespace arrowmind::bench
