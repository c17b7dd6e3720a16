#include "kernels/embed/embed.h"

#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

struct TableArrays {
  AnyMatrix data;
  std::optional<Vector<const float>> scale, zero;
};

// A table is (data, scale or None, zero or None).
TableArrays table_arrays(const nb::tuple& parts) {
  require("embed", parts.size() == 3, "a table is (data, scale, zero)");
  return {nb::cast<AnyMatrix>(parts[0]), nb::cast<std::optional<Vector<const float>>>(parts[1]),
          nb::cast<std::optional<Vector<const float>>>(parts[2])};
}

embed::Table table_of(const TableArrays& arrays, int64_t width) {
  embed::Table table;
  const size_t bytes = arrays.data.itemsize();
  require("embed", bytes == 1 || bytes == 2 || bytes == 4,
          "tables hold float32, float16, bits of bfloat16 (uint16) or int8");
  require("embed", extent(arrays.data, 1) == width, "tables and outputs differ in width");
  table.data = arrays.data.data();
  const bool is_float = arrays.data.dtype().code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float);
  table.element = bytes == 4   ? embed::Element::kF32
                  : bytes == 1 ? embed::Element::kI8
                  : is_float   ? embed::Element::kF16
                               : embed::Element::kBf16;
  table.rows = extent(arrays.data, 0);
  const auto per_row = [&](const std::optional<Vector<const float>>& vector) {
    require("embed", !vector || extent(*vector, 0) == table.rows, "scale and zero need one value per row");
    return vector ? vector->data() : nullptr;
  };
  table.scale = per_row(arrays.scale);
  table.zero = per_row(arrays.zero);
  require("embed", table.element != embed::Element::kI8 || table.scale != nullptr, "int8 tables need scale");
  return table;
}

const int32_t* ids_of(const Vector<const int32_t>& ids, int64_t tokens, const embed::Table& table,
                      std::string_view what) {
  require("embed", extent(ids, 0) == tokens, "ids and outputs differ in number");
  embed::check_ids(ids.data(), tokens, table.rows, what);
  return ids.data();
}

void run(const std::string& name, Vector<const int32_t> token, const nb::tuple& word,
         std::optional<Vector<const int32_t>> position_id, std::optional<nb::tuple> position,
         std::optional<Vector<const int32_t>> type_id, std::optional<nb::tuple> type, Matrix<float> out,
         int64_t repeat) {
  const embed::Row& row = kernel_by_name(embed::rows(), name);
  embed::Params p;
  p.end = extent(out, 0);
  p.width = p.out_stride = extent(out, 1);
  p.out = out.data();
  const TableArrays word_arrays = table_arrays(word);
  p.word = table_of(word_arrays, p.width);
  p.token = ids_of(token, p.end, p.word, "token");
  std::optional<TableArrays> position_arrays;
  std::optional<TableArrays> type_arrays;
  if (position) {
    require("embed", position_id.has_value(), "a position table needs position_id");
    position_arrays = table_arrays(*position);
    p.position = table_of(*position_arrays, p.width);
    p.position_id = ids_of(*position_id, p.end, p.position, "position");
  }
  if (type) {
    type_arrays = table_arrays(*type);
    p.type = table_of(*type_arrays, p.width);
    require("embed", p.type.rows >= 1, "the type table is empty");
    if (type_id) p.type_id = ids_of(*type_id, p.end, p.type, "type");
  }
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < repeat; ++i) row.run(p);
}

}  // namespace

void bind_embed(nb::module_& m) {
  m.def("embed_run", &run, nb::arg("name"), nb::arg("token"), nb::arg("word"),
        nb::arg("position_id") = nb::none(), nb::arg("position") = nb::none(),
        nb::arg("type_id") = nb::none(), nb::arg("type") = nb::none(), nb::kw_only(), nb::arg("out"),
        nb::arg("repeat") = 1,
        "Runs the named kernel row over all tokens on this thread; for tests and benchmarks. A table is "
        "(data, scale, zero), the last two None unless data is int8.");
}

}  // namespace arrowmind::bindings
