#include "limits.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/cpu.h"
#include "harness.h"

namespace arrowmind::bench {
namespace {

struct Probe {
  const char* name;
  const char* detail;
  Isa isa;
  double operations;  // of one iteration
  void (*run)(int64_t iterations);
};

#if defined(__x86_64__)

// The loops are assembly, which a compiler neither deletes nor improves. Twelve chains of accumulators cover
// the latency of the slowest of these instructions (5 cycles, two a cycle).
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CLOBBERS                                                                                             \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
      "xmm13", "xmm14", "xmm15"
#define PROBE(function, zero, body)                                                                       \
  void function(int64_t iterations) {                                                                     \
    __asm__ volatile(CHAINS(zero) "vpxor %%xmm14, %%xmm14, %%xmm14\n vpxor %%xmm15, %%xmm15, %%xmm15\n" \
                     ".p2align 5\n 1:\n" CHAINS(body) "dec %0\n jnz 1b\n vzeroupper\n"      \
                     : "+r"(iterations)                                                    \
                     :                                                                     \
                     : CLOBBERS); \
  }

#define ZERO(i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n"
#define FMA_Y(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n"
#define FMA_Z(i) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" #i "\n"
#define MADDWD_Y(i) "vpmaddwd %%ymm14, %%ymm15, %%ymm13\n vpaddd %%ymm13, %%ymm" #i ", %%ymm" #i "\n"
#define MADDWD_Z(i) "vpmaddwd %%zmm14, %%zmm15, %%zmm13\n vpaddd %%zmm13, %%zmm" #i ", %%zmm" #i "\n"
#define MADDUBS_Y(i)                                                                                     \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n vpmaddwd %%ymm13, %%ymm15, %%ymm13\n vpaddd %%ymm13, %%ymm" #i \
  ", %%ymm" #i "\n"
#define MADDUBS_FOURS_Y(i)                                                                           \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n vpmaddubsw %%ymm14, %%ymm15, %%ymm12\n"                    \
  "vpaddw %%ymm12, %%ymm13, %%ymm13\n vpmaddwd %%ymm13, %%ymm15, %%ymm13\n vpaddd %%ymm13, %%ymm" #i \
  ", %%ymm" #i "\n"
#define MADDUBS16_Y(i) "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n vpaddw %%ymm13, %%ymm" #i ", %%ymm" #i "\n"
#define MADDUBS16_Z(i) "vpmaddubsw %%zmm14, %%zmm15, %%zmm13\n vpaddw %%zmm13, %%zmm" #i ", %%zmm" #i "\n"
#define DPWSSD_Z(i) "vpdpwssd %%zmm14, %%zmm15, %%zmm" #i "\n"
#define DPBUSD_Z(i) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #i "\n"

PROBE(fma_avx2, ZERO, FMA_Y)
PROBE(fma_avx512, ZERO, FMA_Z)
PROBE(maddwd_avx2, ZERO, MADDWD_Y)
PROBE(maddwd_avx512, ZERO, MADDWD_Z)
PROBE(maddubs_avx2, ZERO, MADDUBS_Y)
PROBE(maddubs_fours_avx2, ZERO, MADDUBS_FOURS_Y)
PROBE(maddubs16_avx2, ZERO, MADDUBS16_Y)
PROBE(maddubs16_avx512, ZERO, MADDUBS16_Z)
PROBE(dpwssd_avx512vnni, ZERO, DPWSSD_Z)
PROBE(dpbusd_avx512vnni, ZERO, DPBUSD_Z)

// operations: chains x lanes x products per lane x 2
constexpr Probe kProbes[] = {
    {"fma_avx2", "vfmadd231ps ymm", Isa::kAvx2, 12 * 8 * 2, fma_avx2},
    {"maddwd_avx2", "vpmaddwd + vpaddd ymm", Isa::kAvx2, 12 * 16 * 2, maddwd_avx2},
    {"maddubs_avx2", "vpmaddubsw + vpmaddwd + vpaddd ymm", Isa::kAvx2, 12 * 32 * 2, maddubs_avx2},
    {"maddubs_fours_avx2", "2 vpmaddubsw + vpaddw + vpmaddwd + vpaddd ymm", Isa::kAvx2, 12 * 64 * 2,
     maddubs_fours_avx2},
    {"maddubs16_avx2", "vpmaddubsw + vpaddw ymm", Isa::kAvx2, 12 * 32 * 2, maddubs16_avx2},
    {"fma_avx512", "vfmadd231ps zmm", Isa::kAvx512, 12 * 16 * 2, fma_avx512},
    {"maddwd_avx512", "vpmaddwd + vpaddd zmm", Isa::kAvx512, 12 * 32 * 2, maddwd_avx512},
    {"maddubs16_avx512", "vpmaddubsw + vpaddw zmm", Isa::kAvx512, 12 * 64 * 2, maddubs16_avx512},
    {"dpwssd_avx512vnni", "vpdpwssd zmm", Isa::kAvx512Vnni, 12 * 32 * 2, dpwssd_avx512vnni},
    {"dpbusd_avx512vnni", "vpdpbusd zmm", Isa::kAvx512Vnni, 12 * 64 * 2, dpbusd_avx512vnni},
};

// Plain 32-byte loads of whole cache lines, 256 bytes a turn.
void read_bytes(const char* p, int64_t bytes) {
  int64_t turns = bytes / 256;
  if (!isa_enabled(Isa::kAvx2) || turns == 0) return;
  __asm__ volatile(
      ".p2align 5\n 1:\n"
      "vmovdqa (%0), %%ymm0\n vmovdqa 32(%0), %%ymm1\n vmovdqa 64(%0), %%ymm2\n vmovdqa 96(%0), %%ymm3\n"
      "vmovdqa 128(%0), %%ymm4\n vmovdqa 160(%0), %%ymm5\n vmovdqa 192(%0), %%ymm6\n vmovdqa 224(%0), "
      "%%ymm7\n"
      "add $256, %0\n dec %1\n jnz 1b\n vzeroupper\n"
      : "+r"(p), "+r"(turns)
      :
      : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "memory");
}

#else

constexpr std::array<Probe, 0> kProbes = {};

void read_bytes(const char* p, int64_t bytes) {
  std::array<uint64_t, 4> sum{};
  for (int64_t i = 0; i + 32 <= bytes; i += 32) {
    std::array<uint64_t, 4> words;
    std::memcpy(words.data(), p + i, sizeof(words));
    for (size_t j = 0; j < 4; ++j) sum[j] += words[j];
  }
  keep(sum.data());
}

#endif

}  // namespace

std::vector<Limit> instruction_limits() {
  std::vector<Limit> limits;
  for (const Probe& probe : kProbes) {
    if (isa_enabled(probe.isa)) limits.push_back({probe.name, probe.detail});
  }
  return limits;
}

double measure_instruction(const std::string& name, int threads) {
  constexpr int64_t kIterations = 4000;
  for (const Probe& probe : kProbes) {
    if (name != probe.name || !isa_enabled(probe.isa)) continue;
    ThreadPool pool(threads);
    const Timing timing = time_calls(0.02, [&] {
      if (threads == 1) return probe.run(kIterations);
      pool.run(threads * 8, [&](int64_t, int) { probe.run(kIterations); });
    });
    const double calls = threads == 1 ? 1.0 : threads * 8.0;
    return probe.operations * static_cast<double>(kIterations) * calls / timing.best / 1e9;
  }
  return 0;
}

ReadProbe::ReadProbe(int64_t bytes, int threads)
    : parts_(std::max<int64_t>(1, bytes / kPart)), buffer_(parts_ * kPart), pool_(threads) {
  std::memset(buffer_.as<char>(), 1, static_cast<size_t>(parts_ * kPart));
}

void ReadProbe::operator()() {
  pool_.run(parts_, [&](int64_t part, int) { read_bytes(buffer_.as<char>() + part * kPart, kPart); });
}

double measure_read(int64_t bytes, int threads) {
  ReadProbe probe(bytes, threads);
  const Timing timing = time_calls(0.1, [&] { probe(); });
  return probe.bytes() / timing.best / 1e9;
}

int64_t last_level_cache() {
  // The cache that this processor can fill: sysconf adds up all caches of a socket, twelve times as much on
  // some.
  std::ifstream in("/sys/devices/system/cpu/cpu0/cache/index3/size");
  int64_t kibibytes = 0;
  if (in >> kibibytes && kibibytes > 0) return kibibytes << 10;
#if defined(_SC_LEVEL3_CACHE_SIZE)
  const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (bytes > 0) return bytes;
#endif
  return int64_t{32} << 20;
}

}  // namespace arrowmind::bench
