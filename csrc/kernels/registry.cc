#include "kernels/registry.h"

#include <cstdlib>
#include <mutex>
#include <optional>

#include "kernels/activate/activate.h"
#include "kernels/attention/attention.h"
#include "kernels/cached_attention/cached_attention.h"
#include "kernels/cross_attention/cross_attention.h"
#include "kernels/embed/embed.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"
#include "kernels/rope/rope.h"
#include "kernels/route/route.h"
#include "kernels/scan/scan.h"
#include "kernels/simd/simd.h"
#include "kernels/trellis/trellis.h"

namespace arrowmind {
namespace {

template <typename Row>
void append(std::vector<KernelRow>& all, std::span<const Row> rows) {
  for (const Row& row : rows) {
    all.push_back(row.row);
    all.back().cost = row.cost;
  }
}

void check_forced(const std::string& name) {
  for (const KernelRow& row : all_kernels()) {
    if (row.name != name) continue;
    if (isa_enabled(row.isa)) return;
    fail(ErrorKind::kConfiguration, "ARROWMIND_KERNEL: '", name, "' needs ", isa_name(row.isa),
         ", which this machine lacks or ARROWMIND_MAX_ISA forbids; `arrowmind doctor` lists what can run");
  }
  fail(ErrorKind::kConfiguration, "ARROWMIND_KERNEL: no kernel is called '", name,
       "'; `arrowmind doctor` lists the names");
}

std::vector<std::string> read_forced() {
  std::vector<std::string> names;
  const char* text = std::getenv("ARROWMIND_KERNEL");
  std::istringstream list(text == nullptr ? "" : text);
  for (std::string name; std::getline(list, name, ',');) {
    if (name.empty()) continue;
    check_forced(name);
    names.push_back(name);
  }
  return names;
}

std::mutex forced_mutex;
std::optional<std::vector<std::string>> forced;

}  // namespace

std::vector<KernelRow> all_kernels() {
  std::vector<KernelRow> all;
  append(all, qmatmul::rows());
  append(all, attention::rows());
  append(all, cached_attention::rows());
  append(all, cross_attention::rows());
  append(all, activate::rows());
  append(all, embed::rows());
  append(all, norm::rows());
  append(all, pool::rows());
  append(all, quantise::rows());
  append(all, rope::rows());
  append(all, route::rows());
  append(all, scan::rows());
  append(all, simd::rows());
  append(all, trellis::rows());
  return all;
}

bool kernel_is_forced(std::string_view name) {
  const std::lock_guard<std::mutex> lock(forced_mutex);
  if (!forced) forced = read_forced();
  return std::find(forced->begin(), forced->end(), name) != forced->end();
}

void reload_forced_kernels() {
  const std::lock_guard<std::mutex> lock(forced_mutex);
  forced.reset();
}

}  // namespace arrowmind
