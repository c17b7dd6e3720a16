#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"

namespace arrowmind {

// What every row of every kernels.inc has in common.
struct KernelRow {
  std::string_view op;    // folder under kernels/
  std::string_view name;  // <op>_<operand types>_<tile>_<isa>, unique over all ops
  Isa isa;
  std::string_view detail;  // what tells this row from its sisters, for `doctor` and reports
  float cost = 0;           // that of the op's row, filled in by all_kernels()
};

// All rows of all ops, in table order (kernels.cc).
std::vector<KernelRow> all_kernels();

// Whether ARROWMIND_KERNEL names this row. Several names may be given, separated by commas. Throws
// Error(kConfiguration) when any of them is no row at all, or its ISA cannot run here.
bool kernel_is_forced(std::string_view name);

// Reads ARROWMIND_KERNEL again. Only for tests.
void reload_forced_kernels();

// Picks from `rows` (each with .row and .cost) the cheapest that `fits` and may run here. A forced row wins
// when it fits. `problem` describes the call for the error when nothing fits.
template <typename Row, typename Fits>
const Row& select_kernel(std::span<const Row> rows, std::string_view op, const Fits& fits,
                         const std::string& problem) {
  const Row* best = nullptr;
  for (const Row& row : rows) {
    if (!fits(row)) continue;
    if (kernel_is_forced(row.row.name)) return row;
    if (isa_enabled(row.row.isa) && (best == nullptr || row.cost < best->cost)) best = &row;
  }
  if (best == nullptr) fail(ErrorKind::kKernel, "[", op, "] no kernel for ", problem);
  return *best;
}

// A row of an op whose kernels each serve every call: what differs is speed alone.
template <typename Params>
struct KernelOf {
  KernelRow row;
  float cost;  // relative time per element
  void (*run)(const Params&);
};

template <typename Params>
const KernelOf<Params>& cheapest_kernel(std::span<const KernelOf<Params>> rows) {
  return select_kernel(rows, rows.front().row.op, [](const KernelOf<Params>&) { return true; }, "any call");
}

// Row of this name, for tests and benchmarks. Throws Error(kKernel) when there is none or its ISA is not
// enabled.
template <typename Row>
const Row& kernel_by_name(std::span<const Row> rows, std::string_view name) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.row.name == name; });
  if (found == rows.end()) fail(ErrorKind::kKernel, "no kernel is called '", name, "'");
  if (!isa_enabled(found->row.isa)) {
    fail(ErrorKind::kKernel, "kernel '", name, "' needs ", isa_name(found->row.isa),
         ", which is not enabled here");
  }
  return *found;
}

}  // namespace arrowmind
