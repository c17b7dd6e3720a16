#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace arrowmind {

// Instruction sets a kernel row can ask for, each a superset of what its row in kIsaTable lists.
// Order within one architecture is from narrow to wide: ARROWMIND_MAX_ISA cuts the list there.
enum class Isa : uint8_t {
  kScalar,
  kAvx2,        // AVX2, FMA, F16C, POPCNT
  kAvx512,      // F, BW, DQ, VL
  kAvx512Vnni,  // + VNNI
  kAvx512Vbmi,  // + VBMI
  kAvx512Bf16,  // + BF16
  kAmxBf16,     // AMX-TILE, AMX-BF16, with permission of the kernel
  kAmxInt8,     // AMX-TILE, AMX-INT8, with permission of the kernel
  kNeon,        // AArch64 baseline
  kNeonDot,     // + dotprod
  kNeonI8mm,    // + i8mm
  kSve,         // + SVE
  kCount,
};

struct IsaInfo {
  Isa isa;
  std::string_view name;  // as in ARROWMIND_MAX_ISA and in kernel names
  bool detected;          // the CPU and the operating system support it
  bool enabled;           // detected, and not cut by ARROWMIND_MAX_ISA
};

std::string_view isa_name(Isa isa);

// True when kernels of this ISA may run: detected on this machine and allowed by ARROWMIND_MAX_ISA.
// Throws Error(kConfiguration) when ARROWMIND_MAX_ISA holds an unknown name.
bool isa_enabled(Isa isa);

// True when the processor's SHA-256 instructions (SHA-NI, ARMv8 SHA2) may be used: they are there, and
// ARROWMIND_MAX_ISA is not `scalar`.
bool sha256_instructions_enabled();

// Every ISA of this architecture, narrow to wide.
std::vector<IsaInfo> isa_report();

// Marketing name of the processor, "unknown" where the system does not tell.
std::string cpu_brand();

// Reads ARROWMIND_MAX_ISA again. Only for tests; not safe beside running kernels.
void reload_isa_cap();

}  // namespace arrowmind
