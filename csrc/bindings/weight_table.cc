#include "bindings/weight_table.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bindings/arrow_handles.h"
#include "bindings/hash_tree.h"
#include "weights/early_weights.h"

namespace arrowmind::bindings {
namespace {

using Rows = std::vector<int32_t>;
using weights::EarlyWeights;
using weights::WeightTable;

const WeightTable& checked(const WeightTableHandle& self, const Rows& rows) {
  const WeightTable& table = *self.table;
  for (const int32_t row : rows) {
    if (!table.is_sound() || row < 0 || row >= table.rows()) {
      fail(ErrorKind::kInvalidArgument, "row ", row, " of ", table.is_sound() ? table.rows() : 0,
           " that are sound");
    }
  }
  return table;
}

nb::object text(const WeightTable& table, std::string_view column, int64_t row) {
  const std::string_view found = table.text(column, row);
  return nb::str(found.data(), found.size());
}

nb::tuple describe(const WeightTableHandle& self, int32_t row) {
  const WeightTable& table = checked(self, {row});
  nb::list shape;
  for (const int32_t size : table.shape(row)) shape.append(size);
  return nb::make_tuple(text(table, "name", row), text(table, "quant_type", row), nb::tuple(shape),
                        text(table, "layout", row), table.axis(row), text(table, "activation", row),
                        table.description(row).group, text(table, "scale_type", row),
                        text(table, "zero_type", row));
}

int64_t first_unsound(const WeightTableHandle& self, const Rows& rows,
                      const std::optional<TreeHandle>& tree) {
  const WeightTable& table = checked(self, rows);
  nb::gil_scoped_release release;
  return table.first_unsound(rows, tree ? tree->tree.get() : nullptr);
}

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

// Nothing where scales or zero points of one of them are not sound: they tell nothing of their sizes then.
std::optional<Ranges> moving(const WeightTableHandle& self, const Rows& rows,
                             const std::optional<TreeHandle>& tree) {
  const WeightTable& table = checked(self, rows);
  Rows on_grid;
  for (const int32_t row : rows) {
    if (table.description(row).scale != weights::Scale::kNone) on_grid.push_back(row);
  }
  if (table.first_unsound(on_grid, tree ? tree->tree.get() : nullptr) >= 0) return std::nullopt;
  Ranges found;
  for (const int32_t row : rows) {
    for (const arrow::FileRange& range : table.moving(row)) found.emplace_back(range.offset, range.size);
  }
  return found;
}

std::optional<std::pair<FileHandle, std::optional<TreeHandle>>> opened(const EarlyWeights& self) {
  std::optional<EarlyWeights::Opened> found;
  {
    const nb::gil_scoped_release release;
    found = self.opened();
  }
  if (!found) return std::nullopt;
  std::optional<TreeHandle> tree;
  if (found->tree != nullptr) tree = TreeHandle{found->tree};
  return std::make_pair(FileHandle{found->file}, tree);
}

}  // namespace

void bind_weight_table(nb::module_& m) {
  nb::class_<WeightTableHandle>(m, "WeightTable", "The tensors of a weights.arrow, checked all at once.")
      .def(nb::new_([](const BatchHandle& batch) {
             return new WeightTableHandle{std::make_shared<const WeightTable>(batch.batch)};
           }),
           nb::arg("batch"))
      .def_prop_ro(
          "is_sound", [](const WeightTableHandle& self) { return self.table->is_sound(); },
          "Whether every description is; nothing else may be asked otherwise.")
      .def(
          "checksum",
          [](const WeightTableHandle& self, uint32_t crc) { return checked(self, {0}).checksum(crc); },
          nb::arg("crc"), "CRC-32C of descriptions and checksums as canonical JSON, continuing from `crc`.")
      .def("describe", &describe, nb::arg("row"), "The attributes of a TensorSpec.")
      .def(
          "are_alike",
          [](const WeightTableHandle& self, const Rows& rows) { return checked(self, rows).are_alike(rows); },
          nb::arg("rows"), "Whether activations meet these matrices in one form.")
      .def("first_unsound", &first_unsound, nb::arg("rows"), nb::arg("tree").none(),
           "The first row whose buffers are not sound, codes but for their size aside; -1 for none.")
      .def("moving", &moving, nb::arg("rows"), nb::arg("tree").none(),
           "Offset and size of what comes and goes with matrices; None where one on a grid is not sound.");
  nb::class_<EarlyWeights>(m, "EarlyWeights", "A weight file that a thread reads before it is asked for.")
      .def(nb::new_([](const nb::bytes& path, bool hashed) {
             return new EarlyWeights(std::string(path.c_str(), path.size()), hashed);
           }),
           nb::arg("path"), nb::arg("hashed"))
      .def("read", &EarlyWeights::read, nb::call_guard<nb::gil_scoped_release>(),
           "Reads, once: the work of a thread. (offset, size) of each range that was read.")
      .def("end", &EarlyWeights::end, "Has read() return after the piece that it is at.")
      .def("opened", &opened, "The file and its tree, once read() has them; None where it cannot.");
}

}  // namespace arrowmind::bindings
