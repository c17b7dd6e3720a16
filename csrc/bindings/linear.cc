#include "bindings/linear.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <variant>

#include "base/checked.h"
#include "base/error.h"
#include "base/openmp_team.h"
#include "base/thread_pool.h"
#include "bindings/grid.h"
#include "runtime/apply.h"

namespace arrowmind::bindings {
namespace {

using runtime::BufferType;
template <typename T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// The pointer behind `key`, checked to hold at least `count` items; null for None.
template <typename T>
const T* pointer(const nb::dict& tensor, const char* key, int64_t count, std::vector<nb::object>& owners) {
  const nb::object value = nb::borrow(tensor[key]);
  if (value.is_none()) return nullptr;
  const Vector<T> array = nb::cast<Vector<T>>(value);
  if (static_cast<int64_t>(array.size()) < count) {
    fail(ErrorKind::kWeight, key, " holds ", array.size(), " values; ", count, " are needed");
  }
  owners.push_back(nb::cast(array));
  return array.data();
}

void linear_run(const nb::dict& tensor, Matrix<const float> x, Matrix<float> out,
                std::variant<ThreadPool*, OpenMpTeam*> workers, const std::string& activation,
                std::optional<Vector<float>> multiplier, bool paired) {
  const LinearDescription described(tensor);
  const runtime::LinearWeights& w = described.weights;
  const int64_t rows = static_cast<int64_t>(x.shape(0));
  if (static_cast<int64_t>(x.shape(1)) != w.k || static_cast<int64_t>(out.shape(1)) != w.n ||
      static_cast<int64_t>(out.shape(0)) != rows) {
    fail(ErrorKind::kInvalidArgument, "[linear] an input [", rows, ", ", x.shape(1), "] and an output [",
         out.shape(0), ", ", out.shape(1), "] do not fit weights [", w.n, ", ", w.k, "]");
  }
  if (multiplier && static_cast<int64_t>(multiplier->size()) != w.k) {
    fail(ErrorKind::kInvalidArgument, "[linear] a multiplier of ", multiplier->size(), " values meets ", w.k,
         " columns");
  }
  const runtime::Application layer{.weights = w,
                                   .activation = buffer_type(activation),
                                   .multiplier = multiplier ? multiplier->data() : nullptr,
                                   .bound = paired ? qmatmul::Bound::kPairs : qmatmul::Bound::kNone};
  const runtime::Threads threads = std::visit(
      [](auto* team) {
        return runtime::Threads{
            team->threads(), [team](int64_t tasks, const ThreadPool::Body& body) { team->run(tasks, body); }};
      },
      workers);
  nb::gil_scoped_release release;
  runtime::apply_linear(layer, x.data(), rows, out.data(), threads);
}

}  // namespace

Shape shape_of(const nb::dict& tensor) {
  const auto shape = nb::cast<std::vector<int64_t>>(tensor["shape"]);
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX || shape[1] > INT32_MAX) {
    fail(ErrorKind::kWeight, "a matrix has ", shape.size(), " dimensions or one that is out of range");
  }
  return {shape[0], shape[1]};
}

std::optional<int64_t> group_of(const nb::dict& tensor) {
  if (!tensor.contains("group")) return std::nullopt;
  return nb::cast<int64_t>(tensor["group"]);
}

BufferType buffer_type(const std::string& name) {
  if (name == "fp32") return BufferType::kF32;
  if (name == "int8") return BufferType::kI8;
  if (name == "int16") return BufferType::kI16;
  if (name == "int8-block") return BufferType::kI8Block;
  fail(ErrorKind::kInvalidArgument, "buffer type '", name,
       "' is unknown; use fp32, int8, int16 or int8-block");
}

LinearDescription::LinearDescription(const nb::dict& tensor) {
  const Shape shape = shape_of(tensor);
  const std::optional<int64_t> group = group_of(tensor);
  weights.type = weight_type(nb::cast<std::string>(tensor["type"]), group);
  weights.n = shape.rows;
  weights.k = shape.columns;
  if (group) {
    GridBuffers buffers(tensor, shape.rows, shape.columns);
    owners = std::move(buffers.owners);
    weights.grid = buffers.grid;
  }
  weights.packed_bytes = qmatmul::packed_bytes(weights.type, weights.n, weights.k, weights.grid.group);
  weights.packed = pointer<uint8_t>(tensor, "codes", weights.packed_bytes, owners);
  if (weights.packed == nullptr) fail(ErrorKind::kWeight, "a linear layer without codes");
  weights.bias = pointer<float>(tensor, "bias", weights.n, owners);
  weights.streamed = tensor.contains("streamed") && nb::cast<bool>(tensor["streamed"]);
  if (group) return;
  const int64_t padded = round_up(weights.n, qmatmul::kPanel);
  weights.scale = pointer<float>(tensor, "scales", padded, owners);
  weights.zero = pointer<float>(tensor, "zero_points", padded, owners);
  weights.sum = pointer<int32_t>(tensor, "sums", padded, owners);
}

void bind_linear(nb::module_& m) {
  nb::class_<OpenMpTeam>(m, "OpenMpTeam", "Threads of an OpenMP runtime that is loaded already.")
      .def(nb::new_([](uintptr_t parallel, int threads) {
             return new OpenMpTeam(reinterpret_cast<OpenMpTeam::Parallel>(parallel), threads);
           }),
           nb::arg("parallel"), nb::arg("threads"), "`parallel`: the address of its GOMP_parallel.")
      .def_prop_ro("threads", &OpenMpTeam::threads);
  m.def("linear_run", &linear_run, nb::arg("tensor"), nb::arg("x"), nb::arg("out"), nb::arg("threads"),
        nb::arg("activation") = "fp32", nb::arg("multiplier") = nb::none(), nb::arg("paired") = false,
        "Rows through a linear layer by itself, without the GIL: the layer as in Plan.linear.");
  m.def(
      "linear_is_paired",
      [](const nb::dict& tensor) {
        const LinearDescription described(tensor);
        const runtime::LinearWeights& w = described.weights;
        return w.type == qmatmul::Weight::kI8 &&
               qmatmul::bound_of(w.n, w.k, w.packed) != qmatmul::Bound::kNone;
      },
      nb::arg("tensor"), "Whether kernels for bounded pairs of int8 codes may run; reads them all.");
}

}  // namespace arrowmind::bindings
