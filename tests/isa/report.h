#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/registry.h"

namespace arrowmind::isa_test {

// Everything a kernel wrote, gaps between rows included.
struct Outcome {
  std::vector<float> floats;
  std::vector<int32_t> codes;
};

// Which rows ran, on how many cases, and what differed from the scalar row. Prints a line per row.
class Report {
 public:
  // `damaged`: a row whose results are changed by one bit before they are compared, to see that it is
  // noticed.
  explicit Report(std::string damaged) : damaged_(std::move(damaged)) {}

  void compare(const KernelRow& row, const std::string& what, const Outcome& expected, Outcome got);
  void fail(std::string_view name, const std::string& message);
  // Adds what the scalar row wrote to its digest, which is the same on every architecture.
  void digest(const KernelRow& row, const Outcome& outcome);

  // Prints what became of each row of `op`.
  void close_op(const std::vector<KernelRow>& rows);

  int ran() const { return ran_; }
  int skipped() const { return skipped_; }
  int failures() const { return failures_; }
  // Instruction sets of which at least one row ran.
  const std::set<std::string_view>& isas() const { return isas_; }

 private:
  std::string damaged_;
  std::map<std::string_view, int64_t> cases_, failed_;
  std::map<std::string_view, uint64_t> digests_;
  std::set<std::string_view> isas_;
  int ran_ = 0, skipped_ = 0, failures_ = 0;
};

// Names the row that runs, for the message of a process that dies in it. Kernels that use instructions this
// processor lacks, or memory that is not theirs, end here.
void watch_for_signals();
void set_current(const KernelRow& row);

// Runs the scalar row `oracle` on each case, and compares every other row that computes the same with it.
//   same_form(row)     whether it does
//   fits(row, case)    whether it serves the case
//   prepare(case)      a function that runs a row on inputs made once, and returns what it wrote
template <typename Row, typename Case, typename SameForm, typename Fits, typename Prepare>
void check_form(Report& report, std::span<const Row> rows, const Row& oracle, const std::vector<Case>& cases,
                const SameForm& same_form, const Fits& fits, const Prepare& prepare) {
  for (const Case& one : cases) {
    set_current(oracle.row);
    auto run = prepare(one);
    const Outcome expected = run(oracle);
    report.digest(oracle.row, expected);
    for (const Row& row : rows) {
      if (!same_form(row) || !fits(row, one) || !isa_enabled(row.row.isa)) continue;
      set_current(row.row);
      report.compare(row.row, one.text(), expected, &row == &oracle ? expected : run(row));
    }
  }
}

// Prints what became of the rows of a table.
template <typename Row>
void close_op(Report& report, std::span<const Row> rows) {
  std::vector<KernelRow> common;
  for (const Row& row : rows) common.push_back(row.row);
  report.close_op(common);
}

// The same for every form of a table, on the cases all of them share. same_form(a, b): whether a and b
// compute the same.
template <typename Row, typename Case, typename SameForm, typename Run>
void check_rows(Report& report, std::span<const Row> rows, const std::vector<Case>& cases,
                const SameForm& same_form, const Run& run) {
  for (const Row& oracle : rows) {
    if (oracle.row.isa != Isa::kScalar) continue;
    check_form(
        report, rows, oracle, cases, [&](const Row& row) { return same_form(oracle, row); },
        [](const Row&, const Case&) { return true; },
        [&](const Case& one) { return [&](const Row& row) { return run(row, one); }; });
  }
  close_op(report, rows);
}

}  // namespace arrowmind::isa_test
