#include "bindings/senses.h"

#include "base/error.h"
#include "bindings/keepalive.h"
#include "runtime/ops/cross_attention.h"
#include "runtime/ops/positions.h"

namespace arrowmind::bindings {

using runtime::Plan;

namespace {

void check_offsets(const std::optional<Offsets>& offsets, int64_t count, int64_t sequences) {
  if (!offsets || static_cast<int64_t>(offsets->size()) != sequences + 1 || offsets->data()[0] != 0 ||
      offsets->data()[sequences] != count) {
    fail(ErrorKind::kInvalidArgument, "memory_offsets must be ", sequences + 1,
         " values from 0 to the rows of memory, ", count);
  }
  for (int64_t s = 0; s < sequences; ++s) {
    if (offsets->data()[s + 1] <= offsets->data()[s])
      fail(ErrorKind::kInvalidArgument, "sequence ", s, " looks at no rows of memory; it needs one at least");
  }
}

}  // namespace

std::optional<runtime::Memory> memory_of(const std::optional<FloatRows>& rows,
                                         const std::optional<Offsets>& offsets, int64_t sequences) {
  if (!rows) return std::nullopt;
  check_offsets(offsets, static_cast<int64_t>(rows->shape(0)), sequences);
  return runtime::Memory{rows->data(), static_cast<int64_t>(rows->shape(1)), offsets->data()};
}

std::optional<runtime::Memory> memory_there(const std::shared_ptr<runtime::SharedRows>& rows,
                                            const std::optional<Offsets>& offsets, int64_t sequences) {
  if (rows == nullptr) return std::nullopt;
  check_offsets(offsets, rows->rows(), sequences);
  return runtime::Memory{nullptr, rows->columns(), offsets->data(), rows->buffer()};
}

namespace {

void positions(Plan& plan, int buffer, const FloatRows& table) {
  if (static_cast<int64_t>(table.shape(1)) != plan.columns(buffer)) {
    fail(ErrorKind::kWeight, "positions of ", table.shape(1), " columns meet ", plan.columns(buffer));
  }
  plan.keep(keepalive(nb::cast(table)));
  runtime::add_positions(plan, buffer, table.data(), static_cast<int64_t>(table.shape(0)));
}

}  // namespace

void bind_plan_senses(nb::class_<Plan>& plan) {
  plan.def("positions", &positions, nb::arg("buffer"), nb::arg("table"))
      .def("previous", &runtime::add_previous, nb::arg("input"), nb::arg("output"), nb::arg("width"),
           nb::arg("first") = 0, nb::arg("to") = 0)
      .def(
          "cross_attention",
          [](Plan& self, int input, int output, int64_t heads, int64_t keys, int64_t values) {
            runtime::add_cross_attention(self, input, output,
                                         {.heads = heads, .keys = keys, .values = values});
          },
          nb::arg("input"), nb::arg("output"), nb::arg("heads"), nb::arg("keys"), nb::arg("values"));
}

}  // namespace arrowmind::bindings
