#include "base/cpu.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace arrowmind {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Isa::kCount)> kNames = {
    "scalar",  "avx2",    "avx512", "avx512vnni", "avx512vbmi", "avx512bf16",
    "amxbf16", "amxint8", "neon",   "neondot",    "neoni8mm",   "sve",
};

using Flags = std::array<bool, static_cast<size_t>(Isa::kCount)>;

void set(Flags& flags, Isa isa, bool value) {
  flags[static_cast<size_t>(isa)] = value;
}

#if defined(__x86_64__)
constexpr bool kIsX86 = true;

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return Registers{};
  return r;
}

bool bit(uint32_t word, int index) {
  return ((word >> index) & 1u) != 0;
}

// XCR0 tells which register files the operating system saves; asking needs OSXSAVE (leaf 1, ecx bit 27).
uint64_t xgetbv0() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

// Linux gives tile registers to a process only after it asked (arch_prctl ARCH_REQ_XCOMP_PERM, XTILEDATA =
// 18).
bool request_amx_permission() {
#if defined(__linux__)
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXtileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXtileData) == 0;
#else
  return false;
#endif
}

Flags detect() {
  Flags flags{};
  set(flags, Isa::kScalar, true);
  const Registers leaf1 = cpuid(1, 0);
  if (!bit(leaf1.ecx, 27)) return flags;
  const uint64_t xcr0 = xgetbv0();
  const Registers leaf7 = cpuid(7, 0);
  const Registers leaf7_1 = cpuid(7, 1);
  const bool os_ymm = (xcr0 & 0x6) == 0x6;
  const bool os_zmm = (xcr0 & 0xe6) == 0xe6;
  const bool os_tile = (xcr0 & 0x60000) == 0x60000;

  const bool avx2 = os_ymm && bit(leaf1.ecx, 28) && bit(leaf7.ebx, 5) && bit(leaf1.ecx, 12) /* fma */ &&
                    bit(leaf1.ecx, 29) /* f16c */ && bit(leaf1.ecx, 23) /* popcnt */;
  const bool avx512 = avx2 && os_zmm && bit(leaf7.ebx, 16) /* f */ && bit(leaf7.ebx, 30) /* bw */ &&
                      bit(leaf7.ebx, 17) /* dq */ && bit(leaf7.ebx, 31) /* vl */;
  set(flags, Isa::kAvx2, avx2);
  set(flags, Isa::kAvx512, avx512);
  const bool vnni = avx512 && bit(leaf7.ecx, 11);
  set(flags, Isa::kAvx512Vnni, vnni);
  set(flags, Isa::kAvx512Vbmi, vnni && bit(leaf7.ecx, 1));
  set(flags, Isa::kAvx512Bf16, avx512 && bit(leaf7_1.eax, 5));
  const bool tile = avx512 && os_tile && bit(leaf7.edx, 24) && request_amx_permission();
  set(flags, Isa::kAmxBf16, tile && bit(leaf7.edx, 22));
  set(flags, Isa::kAmxInt8, tile && bit(leaf7.edx, 25));
  return flags;
}

bool detect_sha256() {
  return bit(cpuid(7, 0).ebx, 29) && bit(cpuid(1, 0).ecx, 19) /* sse4.1, for the code around them */;
}

std::string brand() {
  std::array<uint32_t, 12> words{};
  for (uint32_t i = 0; i < 3; ++i) {
    Registers r;
    if (!__get_cpuid(0x80000002u + i, &r.eax, &r.ebx, &r.ecx, &r.edx)) return "unknown";
    words[i * 4] = r.eax;
    words[i * 4 + 1] = r.ebx;
    words[i * 4 + 2] = r.ecx;
    words[i * 4 + 3] = r.edx;
  }
  std::string name(reinterpret_cast<const char*>(words.data()), sizeof(words));
  name.resize(std::strlen(name.c_str()));
  const size_t last = name.find_last_not_of(' ');
  return last == std::string::npos ? "unknown" : name.substr(0, last + 1);
}
#elif defined(__aarch64__)
constexpr bool kIsX86 = false;

struct ArmFeatures {
  bool dotprod = false, i8mm = false, sve = false;
};

#if defined(__linux__)
ArmFeatures features() {
  const unsigned long hwcap = getauxval(AT_HWCAP);
  const unsigned long hwcap2 = getauxval(AT_HWCAP2);
  const auto bit = [](unsigned long word, int index) { return ((word >> index) & 1ul) != 0; };
  return {bit(hwcap, 20) /* ASIMDDP */, bit(hwcap2, 13) /* I8MM */, bit(hwcap, 22) /* SVE */};
}

bool detect_sha256() {
  return ((getauxval(AT_HWCAP) >> 6) & 1ul) != 0;
}

std::string brand() {
  return "aarch64";
}
#elif defined(__APPLE__)
bool has(const char* name) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}

ArmFeatures features() {
  return {has("hw.optional.arm.FEAT_DotProd"), has("hw.optional.arm.FEAT_I8MM"), false};
}

bool detect_sha256() {
  return has("hw.optional.arm.FEAT_SHA256");
}

std::string brand() {
  std::array<char, 128> text{};
  size_t size = text.size() - 1;
  return sysctlbyname("machdep.cpu.brand_string", text.data(), &size, nullptr, 0) == 0 ? text.data()
                                                                                       : "aarch64";
}
#else
ArmFeatures features() {
  return {};
}

bool detect_sha256() {
  return false;
}

std::string brand() {
  return "aarch64";
}
#endif

Flags detect() {
  Flags flags{};
  const ArmFeatures f = features();
  set(flags, Isa::kScalar, true);
  set(flags, Isa::kNeon, true);
  set(flags, Isa::kNeonDot, f.dotprod);
  set(flags, Isa::kNeonI8mm, f.dotprod && f.i8mm);
  set(flags, Isa::kSve, f.sve);
  return flags;
}
#else
constexpr bool kIsX86 = false;

Flags detect() {
  Flags flags{};
  set(flags, Isa::kScalar, true);
  return flags;
}

bool detect_sha256() {
  return false;
}

std::string brand() {
  return "unknown";
}
#endif

bool of_this_architecture(Isa isa) {
  if (isa == Isa::kScalar) return true;
  const bool x86 = isa < Isa::kNeon;
#if defined(__x86_64__) || defined(__aarch64__)
  return x86 == kIsX86;
#else
  return x86 && kIsX86;
#endif
}

std::string known_names() {
  std::string names;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (!of_this_architecture(static_cast<Isa>(i))) continue;
    if (!names.empty()) names += ", ";
    names += kNames[i];
  }
  return names;
}

Isa read_cap() {
  const char* text = std::getenv("ARROWMIND_MAX_ISA");
  if (text == nullptr || *text == '\0') return Isa::kCount;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text && of_this_architecture(static_cast<Isa>(i))) return static_cast<Isa>(i);
  }
  fail(ErrorKind::kConfiguration, "ARROWMIND_MAX_ISA='", text,
       "' is not an instruction set of this machine's ", "architecture; use one of: ", known_names(),
       ", or unset it");
}

std::mutex cap_mutex;
std::optional<Isa> cap;

Isa current_cap() {
  const std::lock_guard<std::mutex> lock(cap_mutex);
  if (!cap) cap = read_cap();
  return *cap;
}

const Flags& detected() {
  static const Flags flags = detect();
  return flags;
}

}  // namespace

std::string_view isa_name(Isa isa) {
  return kNames.at(static_cast<size_t>(isa));
}

bool isa_enabled(Isa isa) {
  return detected().at(static_cast<size_t>(isa)) && isa <= current_cap();
}

bool sha256_instructions_enabled() {
  static const bool detected_here = detect_sha256();
  return detected_here && current_cap() != Isa::kScalar;
}

std::vector<IsaInfo> isa_report() {
  std::vector<IsaInfo> report;
  for (size_t i = 0; i < kNames.size(); ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (!of_this_architecture(isa)) continue;
    report.push_back({isa, kNames[i], detected()[i], isa_enabled(isa)});
  }
  return report;
}

std::string cpu_brand() {
  return brand();
}

void reload_isa_cap() {
  const std::lock_guard<std::mutex> lock(cap_mutex);
  cap.reset();
}

}  // namespace arrowmind
