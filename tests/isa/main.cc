// isa_selftest [--natural-tiles 1] [--seed N] [--expect-run N] [--expect-skip N] [--expect-isas a,b,c]
// [--damage ROW]
//
// Runs every kernel row this processor can run against the scalar row. Ends with "ran R rows, skipped S rows"
// and status 0 when no bit differs and the numbers, and the instruction sets of which rows ran, are those
// expected.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ops.h"

namespace arrowmind::isa_test {
namespace {

struct Options {
  uint64_t seed = 20261121;
  long run = -1, skip = -1;
  bool natural_tiles = false;
  std::string isas, damage;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--seed") {
      options.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--expect-run") {
      options.run = std::atol(value);
    } else if (name == "--expect-skip") {
      options.skip = std::atol(value);
    } else if (name == "--expect-isas") {
      options.isas = value;
    } else if (name == "--natural-tiles") {
      options.natural_tiles = value[0] == '1';
    } else if (name == "--damage") {
      options.damage = value;
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

std::string joined(const std::vector<IsaInfo>& isas, bool detected) {
  std::string names;
  for (const IsaInfo& isa : isas) {
    if (isa.enabled == detected) names += cat(names.empty() ? "" : " ", isa.name);
  }
  return names;
}

// The instruction sets of which rows ran, narrow to wide.
std::string isas_run(const Report& report) {
  std::string names;
  for (const IsaInfo& isa : isa_report()) {
    if (report.isas().count(isa.name) != 0) names += cat(names.empty() ? "" : ",", isa.name);
  }
  return names;
}

void run_all(Report& report, uint64_t seed, bool natural_tiles) {
  test_simd(report, seed);
  test_norm(report, seed);
  test_activate(report, seed);
  test_rope(report, seed);
  test_route(report, seed);
  test_pool(report, seed);
  test_embed(report, seed);
  test_quantise(report, seed);
  test_scan(report, seed);
  test_trellis(report, seed);
  test_attention(report, seed);
  test_cached_attention(report, seed);
  test_cross_attention(report, seed);
  test_amx_model(report);
  test_qmatmul(report, seed, natural_tiles);
  test_dispatch(report);
}

// Status of the process.
int judge(const Report& report, const Options& options) {
  bool good = report.failures() == 0;
  const auto expect = [&](bool met, const std::string& message) {
    if (!met) std::printf("FAIL %s\n", message.c_str());
    good = good && met;
  };
  expect(report.ran() > 0, "no row ran");
  expect(options.run < 0 || report.ran() == options.run,
         cat("expected ", options.run, " rows to run, not ", report.ran()));
  expect(options.skip < 0 || report.skipped() == options.skip,
         cat("expected ", options.skip, " rows to be skipped, not ", report.skipped()));
  expect(options.isas.empty() || options.isas == isas_run(report),
         cat("expected rows of ", options.isas, " to run, not of ", isas_run(report)));
  std::printf("ran %d rows, skipped %d rows\n", report.ran(), report.skipped());
  return good ? 0 : 1;
}

}  // namespace
}  // namespace arrowmind::isa_test

int main(int argc, char** argv) {
  using namespace arrowmind;
  isa_test::Options options;
  if (!isa_test::parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: %s [--seed N] [--expect-run N] [--expect-skip N] [--expect-isas scalar,avx2,...] "
                 "[--damage ROW] [--natural-tiles 1]\n",
                 argv[0]);
    return 64;
  }
  isa_test::watch_for_signals();
  const std::vector<IsaInfo> isas = isa_report();
  std::printf("processor: %s\nhas: %s\nlacks: %s\nseed: %llu\n", cpu_brand().c_str(),
              isa_test::joined(isas, true).c_str(), isa_test::joined(isas, false).c_str(),
              static_cast<unsigned long long>(options.seed));
  isa_test::Report report(options.damage);
  isa_test::run_all(report, options.seed, options.natural_tiles);
  return isa_test::judge(report, options);
}
