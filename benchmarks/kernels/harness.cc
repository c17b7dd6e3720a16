#include "harness.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "base/cpu.h"
#include "base/error.h"

namespace arrowmind::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Op {
  std::string name;
  Registration::Run run;
};

std::vector<Op>& registered() {
  static std::vector<Op> ops;
  return ops;
}

// Names, shapes and the brand hold no control characters; quotes and backslashes are all there is to escape.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

Timing time_calls(double seconds, const std::function<void()>& body) {
  constexpr double kSample = 3e-4;
  const auto first = Clock::now();
  body();
  const int64_t calls = std::max<int64_t>(1, static_cast<int64_t>(kSample / (seconds_since(first) + 1e-9)));
  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < 5 || seconds_since(start) < seconds) {
    const auto sample = Clock::now();
    for (int64_t i = 0; i < calls; ++i) body();
    samples.push_back(seconds_since(sample) / static_cast<double>(calls));
  }
  std::sort(samples.begin(), samples.end());
  return {samples.front(), samples[samples.size() / 2]};
}

double Result::share() const {
  if (race_share > 0) return race_share;
  if (limit_value <= 0) return 0;
  return (limit.starts_with("read_") ? gbytes() : gops()) / limit_value;
}

void Report::add(const Result& result) {
  if (results_.empty()) {
    std::printf("%-38s %-16s %2s %10s %10s %9s %8s  %s\n", "kernel", "m x n x k", "T", "best us", "median us",
                "Gop/s", "GB/s", "share of limit");
  }
  std::printf("%-38s %-16s %2d %10.1f %10.1f %9.1f %8.2f", result.kernel.c_str(), result.shape.c_str(),
              result.threads, result.timing.best * 1e6, result.timing.median * 1e6, result.gops(),
              result.gbytes());
  if (result.limit_value > 0) std::printf("  %3.0f %% of %s", 100 * result.share(), result.limit.c_str());
  if (result.race_speed > 0) std::printf(", %.2f x int8", result.race_speed);
  std::printf("\n");
  std::fflush(stdout);
  results_.push_back(result);
}

void Report::write_json() const {
  if (options.json.empty()) return;
  std::ofstream out(options.json);
  out << "{\n  \"cpu\": " << quoted(cpu_brand()) << ",\n  \"limits\": {";
  const char* comma = "";
  for (const auto& [name, value] : limits_) {
    out << comma << "\n    " << quoted(name) << ": " << value;
    comma = ",";
  }
  out << "\n  },\n  \"results\": [";
  comma = "";
  for (const Result& r : results_) {
    out << comma << "\n    {\"op\": " << quoted(r.op) << ", \"kernel\": " << quoted(r.kernel)
        << ", \"shape\": " << quoted(r.shape) << ", \"threads\": " << r.threads
        << ", \"best_s\": " << r.timing.best << ", \"median_s\": " << r.timing.median
        << ", \"gop_s\": " << r.gops() << ", \"gb_s\": " << r.gbytes() << ", \"limit\": " << quoted(r.limit)
        << ", \"limit_value\": " << r.limit_value << ", \"share\": " << r.share();
    if (!r.width.empty()) {
      out << ", \"width\": " << quoted(r.width) << ", \"relative_to_int8\": " << r.race_speed;
    }
    out << "}";
    comma = ",";
  }
  out << "\n  ]\n}\n";
  out.close();
  if (!out) {
    fail(ErrorKind::kConfiguration, "cannot write '", options.json, "'; check the folder and the disk");
  }
}

Registration::Registration(const char* op, Run run) {
  registered().push_back({op, run});
}

void run_all(Report& report) {
  for (const Op& op : registered()) {
    if (report.options.op.empty() || report.options.op == op.name) op.run(report);
  }
}

}  // namespace arrowmind::bench
