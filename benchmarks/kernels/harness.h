#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace arrowmind::bench {

struct Options {
  std::string op;        // only this op when set
  std::string filter;    // only kernels whose name contains this
  std::string json;      // file for the results
  double seconds = 0.2;  // time for each figure
  int threads = 2;       // most threads tried
};

// Seconds of one call: the best and the middle of many samples. The best is what the code can do, the middle
// tells how disturbed the machine was.
struct Timing {
  double best = 0;
  double median = 0;
};

// Repeats `body` in samples of about 0.3 ms, short beside a time slice, until `seconds` have passed (at least
// five samples).
Timing time_calls(double seconds, const std::function<void()>& body);

struct Result {
  std::string op, kernel, shape;
  int threads = 1;
  Timing timing;
  double operations = 0;   // of one call
  double bytes = 0;        // read and written by one call when nothing is cached
  std::string limit;       // what bounds this case, empty when unknown
  double limit_value = 0;  // Gop/s, or GB/s for a limit called read_*
  std::string width;       // of raced weights: "int4"
  double race_share = 0;   // of the limit, and speed relative to int8 in bounded pairs: medians of the rounds
  double race_speed = 0;   // of a race

  double gops() const { return operations / timing.best / 1e9; }
  double gbytes() const { return bytes / timing.best / 1e9; }
  double share() const;
};

class Report {
 public:
  explicit Report(Options chosen) : options(std::move(chosen)) {}
  void add(const Result& result);
  void note(const std::string& name, double value) { limits_.emplace_back(name, value); }
  // Writes what was measured as JSON. Throws Error(kConfiguration) when the file cannot be written.
  void write_json() const;

  const Options options;

 private:
  std::vector<Result> results_;
  std::vector<std::pair<std::string, double>> limits_;
};

// An op registers itself: `static const Registration op("qmatmul", run);` in bench_<op>.cc.
struct Registration {
  using Run = void (*)(Report&);
  Registration(const char* op, Run run);
};
void run_all(Report& report);

// Prevents the compiler from proving that `p` is not read.
inline void keep(const void* p) {
  __asm__ volatile("" : : "r"(p) : "memory");
}

}  // namespace arrowmind::bench
