#include "kernels/quantise/quantise.h"

namespace arrowmind::quantise {

#define KERNEL(isa, name, code, cost) void name(const Params&);
#include "kernels/quantise/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, code, cost) \
  {{"quantise", #name, Isa::isa, "rows to " #code}, Code::code, cost, name},
#include "kernels/quantise/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select(Code code) {
  const auto fits = [&](const Row& row) { return row.code == code; };
  const char* wanted = code == Code::kI8    ? "codes int8"
                       : code == Code::kI16 ? "codes int16"
                                            : "codes int8 in blocks";
  return select_kernel(rows(), "quantise", fits, wanted);
}

}  // namespace arrowmind::quantise
