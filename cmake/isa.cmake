# The one table ISA -> compiler flags. A kernel source is found by its name, csrc/kernels/<op>/<isa>.cc or
# <part>_<isa>.cc, or csrc/base/<part>_<isa>.cc, and compiled with the flags of its row alone; everything else is compiled
# for the baseline of the target.
# A new ISA is one row here and one bit in csrc/base/cpu.*.
#
# Each ISA file is compiled with -DARROWMIND_ISA=<isa>: shared inline code lives in a namespace of that name, so
# that the linker can never let baseline code run a copy compiled for wider instructions.

# GCC 12 warns of uninitialised values inside its own AVX-512 headers.
set(ARROWMIND_ISA_COMMON -ffp-contract=off -fno-math-errno -Wno-maybe-uninitialized -Wno-uninitialized)

set(ARROWMIND_ISA_FLAGS_scalar -fno-tree-vectorize -fno-tree-slp-vectorize)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(ARROWMIND_ISAS scalar x86_avx2 x86_avx512 x86_avx512vnni x86_avx512bf16 x86_amxbf16 x86_amxint8)
  set(ARROWMIND_ISA_FLAGS_x86_avx2 -mavx2 -mfma -mf16c -mpopcnt)
  set(ARROWMIND_ISA_FLAGS_x86_avx512 ${ARROWMIND_ISA_FLAGS_x86_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl
                                     -mprefer-vector-width=512)
  # A loop branch that crosses a 32-byte line leaves the decoded-instruction cache of Skylake and Cascade Lake
  # (erratum SKX102): measured 12 % on the integer tiles.
  include(CheckCXXCompilerFlag)
  list(APPEND ARROWMIND_ISA_COMMON -falign-loops=32)
  check_cxx_compiler_flag(-Wa,-mbranches-within-32B-boundaries ARROWMIND_HAS_BRANCH_ALIGNMENT)
  if(ARROWMIND_HAS_BRANCH_ALIGNMENT)
    list(APPEND ARROWMIND_ISA_COMMON -Wa,-mbranches-within-32B-boundaries)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's own AVX-512 headers set it off (bug 105593).
    list(APPEND ARROWMIND_ISA_FLAGS_x86_avx512 -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
  set(ARROWMIND_ISA_FLAGS_x86_avx512vnni ${ARROWMIND_ISA_FLAGS_x86_avx512} -mavx512vnni)
  set(ARROWMIND_ISA_FLAGS_x86_avx512bf16 ${ARROWMIND_ISA_FLAGS_x86_avx512} -mavx512bf16)
  set(ARROWMIND_ISA_FLAGS_x86_amxbf16 ${ARROWMIND_ISA_FLAGS_x86_avx512} -mamx-tile -mamx-bf16)
  set(ARROWMIND_ISA_FLAGS_x86_amxint8 ${ARROWMIND_ISA_FLAGS_x86_avx512vnni} -mamx-tile -mamx-int8)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  set(ARROWMIND_ISAS scalar arm_neon arm_neondot arm_neoni8mm)
  # NEON is the baseline of AArch64, and so no flag of the compiler tells these sources from the scalar ones.
  set(ARROWMIND_ISA_FLAGS_arm_neon -DARROWMIND_NEON)
  set(ARROWMIND_ISA_FLAGS_arm_neondot ${ARROWMIND_ISA_FLAGS_arm_neon} -march=armv8.2-a+dotprod)
  set(ARROWMIND_ISA_FLAGS_arm_neoni8mm ${ARROWMIND_ISA_FLAGS_arm_neon} -march=armv8.2-a+dotprod+i8mm)
else()
  set(ARROWMIND_ISAS scalar)
endif()

# Register tiles with a sanitizer's checks in them take the optimiser of -O3 many minutes.
set(ARROWMIND_KERNEL_OPTIMISATION -O3)
if(ARROWMIND_SANITIZE)
  set(ARROWMIND_KERNEL_OPTIMISATION -O1)
endif()

# arrowmind_add_isa_sources(<target> <folder>...): adds the sources of this architecture's instruction sets in these folders,
# which may be globs, to the target.
function(arrowmind_add_isa_sources target)
  foreach(isa IN LISTS ARROWMIND_ISAS)
    set(sources)
    foreach(folder IN LISTS ARGN)
      file(GLOB found CONFIGURE_DEPENDS ${folder}/${isa}.cc ${folder}/*_${isa}.cc)
      list(APPEND sources ${found})
    endforeach()
    if(sources)
      target_sources(${target} PRIVATE ${sources})
      set_source_files_properties(
        ${sources} PROPERTIES
        COMPILE_OPTIONS "${ARROWMIND_KERNEL_OPTIMISATION};${ARROWMIND_ISA_COMMON};${ARROWMIND_ISA_FLAGS_${isa}}"
        COMPILE_DEFINITIONS "ARROWMIND_ISA=${isa}"
      )
    endif()
  endforeach()
endfunction()
