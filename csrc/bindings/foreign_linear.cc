#include "runtime/on_device/foreign_linear.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "bindings/bindings.h"
#include "bindings/linear.h"

namespace arrowmind::bindings {
namespace {

void linear_there(const std::shared_ptr<device::Device>& device, const nb::dict& tensor, uint64_t stream,
                  uint64_t x, int64_t rows, uint64_t out, uint64_t scratch, const std::string& activation,
                  uint64_t multiplier) {
  if (rows < 0) fail(ErrorKind::kInvalidArgument, "[linear] ", rows, " rows");
  const LinearDescription described(tensor);  // of which sizes and addresses alone are looked at
  const runtime::ForeignLinear layer = {.weights = described.weights,
                                        .activation = buffer_type(activation),
                                        .multiplier = reinterpret_cast<const float*>(multiplier),
                                        .stream = stream,
                                        .x = x,
                                        .rows = rows,
                                        .out = out,
                                        .scratch = scratch};
  nb::gil_scoped_release release;
  runtime::run_foreign_linear(device, layer);
}

int64_t linear_scratch_bytes(const nb::dict& tensor, const std::string& activation, int64_t rows) {
  runtime::LinearWeights weights;
  weights.k = shape_of(tensor).columns;
  weights.grid.group = group_of(tensor).value_or(0);
  return runtime::foreign_scratch_bytes(weights, buffer_type(activation), rows);
}

}  // namespace

void bind_foreign_linear(nb::module_& m) {
  m.def("linear_there", &linear_there, nb::arg("device"), nb::arg("tensor"), nb::arg("stream"), nb::arg("x"),
        nb::arg("rows"), nb::arg("out"), nb::arg("scratch"), nb::arg("activation") = "fp32",
        nb::arg("multiplier") = 0,
        "As linear_run in a stream of others, over addresses of the device; returns when it is submitted.");
  m.def("linear_scratch_bytes", &linear_scratch_bytes, nb::arg("tensor"), nb::arg("activation"),
        nb::arg("rows"), "Memory that linear_there needs beside rows and results.");
}

}  // namespace arrowmind::bindings
