#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "bindings/arrays.h"
#include "bindings/grid.h"
#include "bindings/hash_tree.h"
#include "bindings/keepalive.h"
#include "bindings/linear.h"
#include "bindings/plan_parts.h"
#include "runtime/ops/embed.h"

namespace arrowmind::bindings {
namespace {

using runtime::Plan;

// The pointer behind `key` of a tensor description, checked to hold at least `count` items; null for None.
template <typename T>
const T* pointer(Plan& plan, const nb::dict& tensor, const char* key, int64_t count) {
  const nb::object value = nb::borrow(tensor[key]);
  if (value.is_none()) return nullptr;
  const Vector<const T> array = nb::cast<Vector<const T>>(value);
  if (static_cast<int64_t>(array.size()) < count) {
    fail(ErrorKind::kWeight, key, " holds ", array.size(), " values; ", count, " are needed");
  }
  plan.keep(keepalive(nb::cast(array)));
  return array.data();
}

grid::Grid grid_of(Plan& plan, const nb::dict& tensor, Shape shape) {
  constexpr bool kRowMajor = true;
  GridBuffers buffers(tensor, shape.rows, shape.columns, kRowMajor);
  for (const nb::object& owner : buffers.owners) plan.keep(keepalive(owner));
  return buffers.grid;
}

struct ElementType {
  const char* name;
  bool grid;
  embed::Element element;
  int64_t bits;
};

constexpr ElementType kElements[] = {
    {"fp32", false, embed::Element::kF32, 32},  {"fp16", false, embed::Element::kF16, 16},
    {"bf16", false, embed::Element::kBf16, 16}, {"int8", false, embed::Element::kI8, 8},
    {"int8", true, embed::Element::kI8Grid, 8}, {"int4", true, embed::Element::kI4Grid, 4},
    {"int2", true, embed::Element::kI2Grid, 2}, {"fp4", true, embed::Element::kFp4Grid, 4}};

const ElementType& element_type(const std::string& name, bool grid) {
  for (const ElementType& type : kElements) {
    if (name == type.name && grid == type.grid) return type;
  }
  fail(ErrorKind::kWeight, "a table of type '", name, "' is not served", grid ? " with groups" : "");
}

embed::Table embed_table(Plan& plan, const nb::dict& tensor) {
  const Shape shape = shape_of(tensor);
  const std::optional<int64_t> group = group_of(tensor);
  const ElementType& type = element_type(nb::cast<std::string>(tensor["type"]), group.has_value());
  embed::Table table;
  table.rows = shape.rows;
  table.element = type.element;
  table.data = pointer<uint8_t>(plan, tensor, "codes", shape.rows * ceil_div(shape.columns * type.bits, 8));
  if (group) {
    table.grid = grid_of(plan, tensor, shape);
    return table;
  }
  table.scale = pointer<float>(plan, tensor, "scales", shape.rows);
  table.zero = pointer<float>(plan, tensor, "zero_points", shape.rows);
  if ((table.element == embed::Element::kI8) != (table.scale != nullptr)) {
    fail(ErrorKind::kWeight, "a table of type ", type.name, ": int8 tables need scales, others have none");
  }
  return table;
}

// The tree that covers a table that is mapped, and how far apart its rows are.
runtime::RowGuard row_guard(const nb::dict& tensor) {
  if (!tensor.contains("tree") || tensor["tree"].is_none()) return {};
  const Vector<const uint8_t> codes = nb::cast<Vector<const uint8_t>>(tensor["codes"]);
  return {nb::cast<const TreeHandle&>(tensor["tree"]).tree, nb::cast<std::string>(tensor["name"]),
          static_cast<int64_t>(codes.size()) / shape_of(tensor).rows};
}

void embed(Plan& plan, int output, const nb::dict& word, const std::optional<nb::dict>& position,
           const std::optional<nb::dict>& token_type) {
  runtime::EmbedTables tables;
  tables.word = embed_table(plan, word);
  tables.word_guard = row_guard(word);
  if (position) {
    tables.position = embed_table(plan, *position);
    tables.position_guard = row_guard(*position);
  }
  if (token_type) {
    tables.token_type = embed_table(plan, *token_type);
    tables.token_type_guard = row_guard(*token_type);
  }
  for (const nb::dict* table : {&word, position ? &*position : &word, token_type ? &*token_type : &word}) {
    if (shape_of(*table).columns != plan.columns(output)) {
      fail(ErrorKind::kWeight, "an embedding table has ", shape_of(*table).columns, " columns; ",
           plan.columns(output), " are needed");
    }
  }
  runtime::add_embed(plan, tables, output);
}

}  // namespace

void bind_plan_embed(nb::class_<Plan>& plan) {
  plan.def("embed", &embed, nb::arg("output"), nb::arg("word"), nb::arg("position") = nb::none(),
           nb::arg("token_type") = nb::none());
}

}  // namespace arrowmind::bindings
