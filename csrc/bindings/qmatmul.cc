#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <optional>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "bindings/bindings.h"
#include "bindings/grid.h"
#include "kernels/qmatmul/qmatmul.h"
#include "kernels/qmatmul/row_sums.h"

namespace arrowmind::bindings {
namespace {

using qmatmul::Activation;
using qmatmul::Weight;

template <typename T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using AnyMatrix = nb::ndarray<nb::ro, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

Activation activation_type(const std::string& name) {
  if (name == "fp32") return Activation::kF32;
  if (name == "int8") return Activation::kI8;
  if (name == "int16") return Activation::kI16;
  if (name == "int8-block") return Activation::kI8Block;
  if (name == "bf16") return Activation::kBf16;
  if (name == "bf16-tile") return Activation::kBf16Tile;
  fail(ErrorKind::kInvalidArgument, "activation type '", name,
       "' is unknown; use fp32, int8, int16, int8-block, bf16 or bf16-tile");
}

int64_t item_bytes(Weight weight) {
  return weight == Weight::kF32 ? 4 : weight == Weight::kF16 || weight == Weight::kBf16 ? 2 : 1;
}

qmatmul::FloatType float_type(const std::string& name) {
  if (name == "fp32") return qmatmul::FloatType::kF32;
  if (name == "fp16") return qmatmul::FloatType::kF16;
  if (name == "bf16") return qmatmul::FloatType::kBf16;
  fail(ErrorKind::kInvalidArgument, "float type '", name, "' is unknown; use fp32, fp16 or bf16");
}

int64_t item_bytes(Activation activation, qmatmul::FloatType type) {
  if (activation == Activation::kF32) return type == qmatmul::FloatType::kF32 ? 4 : 2;
  return activation == Activation::kI8 || activation == Activation::kI8Block ? 1 : 2;
}

// Forms of codes with a scale for each row.
bool is_coded(Activation activation) {
  return activation == Activation::kI8 || activation == Activation::kI16;
}

void require(bool condition, const char* what) {
  if (!condition) fail(ErrorKind::kInvalidArgument, "[qmatmul] ", what);
}

// Memory for packed weights, to be freed. Of many megabytes it is of huge pages, where the system has such:
// the head of a language model comes faster so, and is read with fewer entries of the address cache.
uint8_t* packed_memory(size_t size) {
  constexpr size_t kHuge = size_t{2} << 20, kLine = 64;
  const size_t alignment = size >= 2 * kHuge ? kHuge : kLine;
  void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kHuge) ::madvise(memory, size, MADV_HUGEPAGE);  // advice: small ones serve as well
#endif
  return static_cast<uint8_t*>(memory);
}

// part(first row, rows) of parts that begin with a panel each, side by side where there is much to do: tied
// heads are packed whenever a model opens.
template <typename Part>
void each_part(int64_t n, int64_t bytes, const Part& part) {
  constexpr int64_t kPartBytes = int64_t{4} << 20;
  const int64_t parts = std::clamp<int64_t>(bytes / kPartBytes, 1, std::max<int64_t>(1, n / qmatmul::kPanel));
  if (parts == 1) return part(int64_t{0}, n);
  const int64_t rows = round_up(ceil_div(n, parts), qmatmul::kPanel);
  ThreadPool threads(static_cast<int>(std::min<int64_t>({parts, available_cpus(), 4})));
  threads.run(ceil_div(n, rows), [&](int64_t i, int) { part(i * rows, std::min(rows, n - i * rows)); });
}

nb::ndarray<nb::numpy, uint8_t> pack(const std::string& type, AnyMatrix weights,
                                     std::optional<int64_t> group) {
  const Weight weight = weight_type(type, group);
  require(static_cast<int64_t>(weights.itemsize()) == item_bytes(weight), "weights have another item size");
  const int64_t n = static_cast<int64_t>(weights.shape(0));
  const int64_t k = static_cast<int64_t>(weights.shape(1));
  const size_t size = static_cast<size_t>(qmatmul::packed_bytes(weight, n, k, group.value_or(0)));
  uint8_t* packed = packed_memory(std::max<size_t>(size, 1));
  nb::capsule owner(packed, [](void* p) noexcept { std::free(p); });
  {
    nb::gil_scoped_release release;
    const int64_t row_bytes = k * item_bytes(weight);
    const auto* source = static_cast<const char*>(weights.data());
    each_part(n, n * row_bytes, [&](int64_t first, int64_t rows) {
      const int64_t before = qmatmul::packed_bytes(weight, first, k, group.value_or(0));
      qmatmul::pack(weight, rows, k, source + first * row_bytes, packed + before, group.value_or(0));
    });
  }
  return {packed, {size}, owner};
}

nb::ndarray<nb::numpy, int32_t> sums_of_rows(Matrix<const int8_t> codes) {
  const size_t n = codes.shape(0), k = codes.shape(1);
  require(k <= size_t{1} << 24, "rows of more than 2^24 codes have sums beyond 32 bits");
  auto* sums = new int32_t[n];
  nb::capsule owner(sums, [](void* p) noexcept { delete[] static_cast<int32_t*>(p); });
  {
    nb::gil_scoped_release release;
    const auto columns = static_cast<int64_t>(k);
    each_part(static_cast<int64_t>(n), static_cast<int64_t>(n * k), [&](int64_t first, int64_t rows) {
      qmatmul::row_sums(rows, columns, codes.data() + first * columns, sums + first);
    });
  }
  return {sums, {n}, owner};
}

void unpack(const std::string& type, Bytes packed,
            nb::ndarray<nb::ndim<2>, nb::c_contig, nb::device::cpu> out, std::optional<int64_t> group) {
  const Weight weight = weight_type(type, group);
  const int64_t n = static_cast<int64_t>(out.shape(0));
  const int64_t k = static_cast<int64_t>(out.shape(1));
  require(static_cast<int64_t>(out.itemsize()) == item_bytes(weight), "destination has another item size");
  require(static_cast<int64_t>(packed.size()) == qmatmul::packed_bytes(weight, n, k, group.value_or(0)),
          "packed weights have another size than this shape needs");
  nb::gil_scoped_release release;
  qmatmul::unpack(weight, n, k, packed.data(), out.data(), group.value_or(0));
}

// Runs one named row on this thread: for tests, which own the oracle.
void run(const std::string& name, AnyMatrix a, int64_t k, Bytes w, Matrix<float> c,
         std::optional<Vector<float>> a_scale, std::optional<Vector<int32_t>> a_zero,
         std::optional<Vector<int32_t>> a_sum, std::optional<Vector<float>> w_scale,
         std::optional<Vector<float>> w_zero, std::optional<Vector<int32_t>> w_sum,
         std::optional<Vector<float>> bias, std::optional<Matrix<const float>> residual, bool gelu,
         int64_t n_begin, std::optional<int64_t> n_end, const std::string& a_type) {
  const qmatmul::Row& row = kernel_by_name(qmatmul::rows(), name);
  qmatmul::Params p;
  p.m = static_cast<int64_t>(c.shape(0));
  p.n = static_cast<int64_t>(c.shape(1));
  p.k = k;
  const int64_t padded_n = round_up(p.n, qmatmul::kPanel);
  p.a_type = float_type(a_type);
  require(static_cast<int64_t>(a.itemsize()) == item_bytes(row.activation, p.a_type),
          "activations have another item size");
  require(static_cast<int64_t>(a.shape(0)) == p.m, "activations and outputs differ in rows");
  require(static_cast<int64_t>(a.shape(1)) >= k, "activation rows are shorter than k");
  require(static_cast<int64_t>(a.shape(1)) % qmatmul::kQuad == 0 || row.activation == Activation::kF32,
          "activation rows must be padded to a multiple of 4");
  require(static_cast<int64_t>(w.size()) == qmatmul::packed_bytes(row.weight, p.n, k),
          "packed weights: wrong size");
  require(!is_coded(row.activation) || (a_scale && w_scale), "integer forms need a_scale and w_scale");
  const auto sized = [&](const auto& vector, int64_t size, const char* what) {
    require(!vector || static_cast<int64_t>(vector->size()) >= size, what);
    return vector ? vector->data() : nullptr;
  };
  p.a = a.data();
  p.a_stride = static_cast<int64_t>(a.shape(1));
  p.a_scale = sized(a_scale, p.m, "a_scale is too short");
  p.a_zero = sized(a_zero, p.m, "a_zero is too short");
  p.a_sum = sized(a_sum, p.m, "a_sum is too short");
  p.w = w.data();
  p.w_scale = sized(w_scale, padded_n, "w_scale is too short");
  p.w_zero = sized(w_zero, padded_n, "w_zero is too short");
  p.w_sum = sized(w_sum, padded_n, "w_sum is too short");
  p.bias = sized(bias, p.n, "bias is too short");
  p.residual = sized(residual, p.m * p.n, "residual is too small");
  p.residual_stride = p.n;
  p.nonlinearity = gelu ? qmatmul::Nonlinearity::kGelu : qmatmul::Nonlinearity::kNone;
  p.c = c.data();
  p.c_stride = p.n;
  p.n_begin = n_begin;
  p.n_end = n_end.value_or(p.n);
  require(0 <= n_begin && n_begin <= p.n_end && p.n_end <= p.n,
          "n_begin and n_end must lie within the outputs");
  require(n_begin % qmatmul::kPanel == 0 && (p.n_end % qmatmul::kPanel == 0 || p.n_end == p.n),
          "n_begin and n_end must be multiples of 16");
  require(p.w_zero == nullptr || !is_coded(row.activation) || p.a_sum != nullptr, "zero points need a_sum");
  require(p.a_zero == nullptr || p.w_sum != nullptr, "zero points of activations need w_sum");
  nb::gil_scoped_release release;
  row.run(p);
}

// Runs one named row of a grid form on this thread: for tests.
void run_grid(const std::string& name, AnyMatrix a, int64_t k, Bytes w, Matrix<float> c, const nb::dict& grid,
              std::optional<Matrix<const float>> a_scale, std::optional<Matrix<const int32_t>> a_sum,
              int64_t n_begin, std::optional<int64_t> n_end, const std::string& a_type) {
  const qmatmul::Row& row = kernel_by_name(qmatmul::rows(), name);
  qmatmul::Params p;
  p.m = static_cast<int64_t>(c.shape(0));
  p.n = static_cast<int64_t>(c.shape(1));
  p.k = k;
  GridBuffers buffers(grid, p.n, k);
  p.grid = buffers.grid;
  const bool integer = row.activation == Activation::kI8Block;
  const int64_t width = integer ? round_up(k, qmatmul::block_of(p.grid.group)) : k;
  const int64_t parts = width / qmatmul::part_of(p.grid.group);
  const auto holds = [&](const auto& matrix, int64_t columns) {
    return matrix && static_cast<int64_t>(matrix->shape(0)) == p.m &&
           static_cast<int64_t>(matrix->shape(1)) == columns;
  };
  require(row.weight >= Weight::kI8Grid, "this row is for no grid");
  p.a_type = float_type(a_type);
  require(static_cast<int64_t>(a.itemsize()) == item_bytes(row.activation, p.a_type),
          "activations have another item size");
  require(static_cast<int64_t>(a.shape(0)) == p.m && static_cast<int64_t>(a.shape(1)) >= width,
          "activations are too small");
  require(static_cast<int64_t>(w.size()) == qmatmul::packed_bytes(row.weight, p.n, k, p.grid.group),
          "packed weights: wrong size");
  require(!integer || (holds(a_scale, width / qmatmul::block_of(p.grid.group)) && holds(a_sum, parts)),
          "a_scale is [m, blocks], a_sum [m, parts]");
  require(n_begin % qmatmul::kPanel == 0 && 0 <= n_begin && n_end.value_or(p.n) <= p.n,
          "n_begin and n_end must lie within the outputs");
  p.a = a.data();
  p.a_stride = static_cast<int64_t>(a.shape(1));
  p.a_scale = a_scale ? a_scale->data() : nullptr;
  p.a_sum = a_sum ? a_sum->data() : nullptr;
  p.w = w.data();
  p.c = c.data();
  p.c_stride = p.n;
  p.n_begin = n_begin;
  p.n_end = n_end.value_or(p.n);
  nb::gil_scoped_release release;
  row.run(p);
}

nb::str select(const std::string& activation, const std::string& weight, int64_t m,
               std::optional<int64_t> group) {
  const std::string_view name =
      qmatmul::select(activation_type(activation), weight_type(weight, group), m).row.name;
  return nb::str(name.data(), name.size());
}

}  // namespace

void bind_qmatmul(nb::module_& m) {
  m.def("qmatmul_pack", &pack, nb::arg("type"), nb::arg("weights"), nb::arg("group") = nb::none(),
        "Row-major [n, k] weights -> the packed bytes every kernel of this weight type reads.");
  m.def("qmatmul_row_sums", &sums_of_rows, nb::arg("codes"),
        "The sums of the rows of int8 codes [n, k], int32 [n].");
  m.def("qmatmul_unpack", &unpack, nb::arg("type"), nb::arg("packed"), nb::arg("out"),
        nb::arg("group") = nb::none(), "Packed bytes -> row-major [n, k], written to `out`.");
  m.def("qmatmul_activation_limit", &qmatmul::activation_limit, nb::arg("k"),
        "Largest int16 activation code whose dot product over k cannot overflow int32.");
  m.def("qmatmul_run", &run, nb::arg("name"), nb::arg("a"), nb::arg("k"), nb::arg("w"), nb::arg("c"),
        nb::arg("a_scale") = nb::none(), nb::arg("a_zero") = nb::none(), nb::arg("a_sum") = nb::none(),
        nb::arg("w_scale") = nb::none(), nb::arg("w_zero") = nb::none(), nb::arg("w_sum") = nb::none(),
        nb::arg("bias") = nb::none(), nb::arg("residual") = nb::none(), nb::arg("gelu") = false,
        nb::arg("n_begin") = 0, nb::arg("n_end") = nb::none(), nb::arg("a_type") = "fp32",
        "Runs the named kernel row on this thread, for outputs [n_begin, n_end): for tests.");
  m.def("qmatmul_run_grid", &run_grid, nb::arg("name"), nb::arg("a"), nb::arg("k"), nb::arg("w"),
        nb::arg("c"), nb::arg("grid"), nb::arg("a_scale") = nb::none(), nb::arg("a_sum") = nb::none(),
        nb::arg("n_begin") = 0, nb::arg("n_end") = nb::none(), nb::arg("a_type") = "fp32",
        "Runs the named row over weights of a grid on this thread: for tests.");
  m.def("qmatmul_select", &select, nb::arg("activation"), nb::arg("weight"), nb::arg("m"),
        nb::arg("group") = nb::none(),
        "Name of the row that serves these types and number of rows on this machine.");
}

}  // namespace arrowmind::bindings
