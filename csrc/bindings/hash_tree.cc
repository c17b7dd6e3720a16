#include "bindings/hash_tree.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <string>

#include "bindings/arrow_handles.h"

namespace arrowmind::bindings {
namespace {

using arrow::HashTree;
using arrow::HashTreeBuilder;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

nb::bytes to_bytes(const Digest& digest) {
  return nb::bytes(digest.data(), digest.size());
}

std::optional<TreeHandle> open_tree(const FileHandle& self) {
  const arrow::ArrowFile& file = *self.file;
  if (file.tree_offset() < 0) return std::nullopt;
  nb::gil_scoped_release release;
  return TreeHandle{HashTree::open(file.mapping(), file.tree_offset(), file.footer_offset())};
}

void verify_index(const TreeHandle& self, const BatchHandle& batch) {
  nb::gil_scoped_release release;
  self.tree->verify(batch.batch->file->index_ranges(*batch.batch), "the index", true);
}

void verify_array(const TreeHandle& self, const AnyArray& array, const std::string& what) {
  nb::gil_scoped_release release;
  self.tree->verify(array.data(), static_cast<int64_t>(array.nbytes()), what);
}

void touch(const TreeHandle& self, const std::vector<AnyArray>& arrays, ThreadPool& pool) {
  std::vector<arrow::FileRange> ranges;
  for (const AnyArray& array : arrays) {
    ranges.push_back(self.tree->range_of(array.data(), static_cast<int64_t>(array.nbytes())));
  }
  nb::gil_scoped_release release;
  self.tree->touch(ranges, pool);
}

void verify_bytes(const TreeHandle& self, int64_t begin, int64_t end) {
  const int64_t stop = std::min(end, self.tree->data_bytes());
  nb::gil_scoped_release release;
  if (begin >= 0 && begin < stop) self.tree->verify({{begin, stop - begin}}, "the file");
}

void update(HashTreeBuilder& self, const AnyArray& data) {
  nb::gil_scoped_release release;
  self.update(static_cast<const uint8_t*>(data.data()), static_cast<int64_t>(data.nbytes()));
}

nb::bytes section(HashTreeBuilder& self, const nb::bytes& rest) {
  const auto made =
      self.section(reinterpret_cast<const uint8_t*>(rest.data()), static_cast<int64_t>(rest.size()));
  return nb::bytes(made.data(), made.size());
}

nb::bytes sha256(const AnyArray& data) {
  Sha256 sha;
  {
    nb::gil_scoped_release release;
    sha.update(data.data(), static_cast<int64_t>(data.nbytes()));
  }
  return to_bytes(sha.finish());
}

// Digests of the rows of a matrix of bytes, each after a prefix, one behind the other.
nb::bytes sha256_rows(const nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>& rows,
                      uint8_t prefix) {
  std::vector<const uint8_t*> data;
  for (size_t i = 0; i < rows.shape(0); ++i) data.push_back(rows.data() + i * rows.shape(1));
  std::vector<Digest> digests(data.size());
  {
    nb::gil_scoped_release release;
    sha256_each(prefix, data.data(), static_cast<int64_t>(rows.shape(1)), static_cast<int64_t>(data.size()),
                digests.data());
  }
  return nb::bytes(digests.data(), digests.size() * sizeof(Digest));
}

}  // namespace

void bind_hash_tree(nb::module_& m) {
  nb::class_<TreeHandle>(m, "HashTree", "The Merkle tree of an open Arrow file: SHA-256 of its chunks.")
      .def_prop_ro("root", [](const TreeHandle& self) { return to_bytes(self.tree->root()); })
      .def_prop_ro("data_bytes", [](const TreeHandle& self) { return self.tree->data_bytes(); })
      .def_prop_ro(
          "hashed_chunks", [](const TreeHandle& self) { return self.tree->hashed_chunks(); },
          "Chunks compared so far, each once.")
      .def("verify", &verify_array, nb::arg("array"), nb::arg("what"),
           "Compares the chunks under an array of the mapping that were not compared before.")
      .def("touch", &touch, nb::arg("arrays"), nb::arg("pool"),
           "Hashes the chunks under arrays with the threads of a pool; `verify` tells of damage.")
      .def("verify_index", &verify_index, nb::arg("batch"),
           "Compares what describes a batch: all but the values of its binary columns.")
      .def("verify_bytes", &verify_bytes, nb::arg("begin"), nb::arg("end"),
           "Compares the chunks under a range of the file before the tree.");
  nb::class_<HashTreeBuilder>(m, "HashTreeBuilder", "Makes the Merkle tree of a file while it is written.")
      .def(nb::init<>())
      .def("update", &update, nb::arg("data"))
      .def("section", &section, nb::arg("rest"), "The section, given all that follows it.")
      .def_prop_ro("root", [](const HashTreeBuilder& self) { return to_bytes(self.root()); });
  m.def("open_hash_tree", &open_tree, nb::arg("file"), "The tree of a file, its root checked; None without.");
  m.def("sha256", &sha256, nb::arg("data"));
  m.def("sha256_rows", &sha256_rows, nb::arg("rows"), nb::arg("prefix"));
  m.def("sha256_implementation", &sha256_implementation);
}

}  // namespace arrowmind::bindings
