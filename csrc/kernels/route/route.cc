#include "kernels/route/route.h"

#include "base/error.h"

namespace arrowmind::route {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/route/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"route", #name, Isa::isa, "experts of a router"}, cost, name},
#include "kernels/route/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

void check(const Params& p) {
  if (p.experts < 1 || p.experts > kMaxExperts) {
    fail(ErrorKind::kInvalidArgument, "a router of ", p.experts, " experts; use 1 to ", kMaxExperts);
  }
  if (p.groups < 1 || p.experts % p.groups != 0 || p.kept < 1 || p.kept > p.groups) {
    fail(ErrorKind::kInvalidArgument, "a router keeps ", p.kept, " of ", p.groups, " groups of ", p.experts,
         " experts; groups divide the experts, and 1 to all of them are kept");
  }
  const int64_t size = p.experts / p.groups;
  if (p.group_score == GroupScore::kTwoLargest && size < 2) {
    fail(ErrorKind::kInvalidArgument, "groups of one expert have no two best; use fewer than ", p.groups);
  }
  if (p.top < 1 || p.top > p.kept * size) {
    fail(ErrorKind::kInvalidArgument, "a router chooses ", p.top, " of ", p.kept * size,
         " experts; use 1 to all of them");
  }
}

}  // namespace arrowmind::route
