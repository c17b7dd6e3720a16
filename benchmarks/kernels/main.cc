// bench_kernels [--op NAME] [--filter TEXT] [--seconds S] [--threads N] [--json FILE]

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/cpu.h"
#include "base/error.h"
#include "harness.h"
#include "limits.h"

namespace arrowmind::bench {
namespace {

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    if (i + 1 >= argc) fail(ErrorKind::kConfiguration, "'", key, "' needs a value");
    const char* value = argv[i + 1];
    if (key == "--op") {
      options.op = value;
    } else if (key == "--filter") {
      options.filter = value;
    } else if (key == "--json") {
      options.json = value;
    } else if (key == "--seconds") {
      options.seconds = std::atof(value);
    } else if (key == "--threads") {
      options.threads = std::atoi(value);
    } else {
      fail(ErrorKind::kConfiguration, "unknown option '", key,
           "'; use --op, --filter, --seconds, --threads or --json");
    }
  }
  return options;
}

void measure_limits(Report& report) {
  std::printf("%s\n", cpu_brand().c_str());
  for (const Limit& limit : instruction_limits()) {
    const double gops = measure_instruction(limit.name);
    report.note(limit.name, gops);
    std::printf("  %-20s %8.1f Gop/s  %s\n", limit.name.c_str(), gops, limit.detail);
  }
  const int64_t bytes = 4 * last_level_cache();
  for (int threads = 1; threads <= report.options.threads; ++threads) {
    const std::string name = "read_" + std::to_string(threads) + "t";
    const double gbytes = measure_read(bytes, threads);
    report.note(name, gbytes);
    std::printf("  %-20s %8.1f GB/s   %lld MiB\n", name.c_str(), gbytes, static_cast<long long>(bytes >> 20));
  }
  std::printf("\n");
}

int run(int argc, char** argv) {
  try {
    Report report(parse(argc, argv));
    measure_limits(report);
    run_all(report);
    report.write_json();
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace arrowmind::bench

int main(int argc, char** argv) {
  return arrowmind::bench::run(argc, argv);
}
