#include "kernels/embed/embed.h"

namespace arrowmind::embed {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/embed/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"embed", #name, Isa::isa, "gathers and adds three tables"}, cost, name},
#include "kernels/embed/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

void check_ids(const int32_t* ids, int64_t count, int64_t rows, std::string_view what) {
  for (int64_t i = 0; i < count; ++i) {
    if (ids[i] >= 0 && ids[i] < rows) continue;
    fail(ErrorKind::kInvalidArgument, "[embed] ", what, " ", i, " is ", ids[i], "; the table has rows 0 to ",
         rows - 1);
  }
}

}  // namespace arrowmind::embed
