#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <string_view>

#include "bindings/arrays.h"
#include "bindings/arrow_handles.h"
#include "interchange/gguf.h"
#include "interchange/json.h"
#include "interchange/safetensors.h"

namespace arrowmind::bindings {
namespace {

using interchange::GgmlTypeInfo;
using interchange::GgufFile;
using interchange::GgufTensor;
using interchange::GgufType;
using interchange::GgufValue;
using interchange::SafetensorsFile;

template <typename File>
struct Handle {
  std::shared_ptr<const File> file;
};
using SafetensorsHandle = Handle<SafetensorsFile>;
using GgufHandle = Handle<GgufFile>;

template <typename File>
Handle<File> open_file(const nb::bytes& path) {
  const std::string name(path.c_str(), path.size());
  nb::gil_scoped_release release;
  return {File::open(name)};
}

template <typename File>
std::vector<std::string> names(const Handle<File>& self) {
  std::vector<std::string> found;
  for (const auto& tensor : self.file->tensors()) found.push_back(tensor.name);
  return found;
}

template <typename File>
nb::tuple shape(const Handle<File>& self, const std::string& name) {
  nb::list sizes;
  for (const int64_t size : self.file->tensor(name).shape) sizes.append(size);
  return nb::tuple(sizes);
}

template <typename File>
int64_t offset(const Handle<File>& self, const std::string& name) {
  return self.file->tensor(name).bytes.offset;
}

// A view of the mapping that keeps `self`, and so the mapping, alive.
template <typename File>
NumpyArray tensor_bytes(const Handle<File>& self, const std::string& name) {
  static constexpr uint64_t kNothing = 0;
  const arrow::FileRange range = self.file->tensor(name).bytes;
  const void* data = &kNothing;
  if (range.size > 0) data = self.file->mapping()->data() + range.offset;
  return NumpyArray(data, {static_cast<size_t>(range.size)}, nb::find(self), {}, nb::dtype<uint8_t>());
}

template <typename T>
NumpyArray own_shaped(std::unique_ptr<T[]> values, const std::vector<size_t>& sizes,
                      nb::dlpack::dtype dtype) {
  T* data = values.get();
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  values.release();
  return NumpyArray(data, sizes.size(), sizes.data(), owner, nullptr, dtype);
}

// --- safetensors

nb::dict safetensors_metadata(const SafetensorsHandle& self) {
  nb::dict dict;
  for (const auto& [key, value] : self.file->metadata()) dict[nb::cast(key)] = value;
  return dict;
}

// --- GGUF metadata

nb::dlpack::dtype dtype_of(GgufType type) {
  switch (type) {
    case GgufType::kInt8:
      return nb::dtype<int8_t>();
    case GgufType::kUint16:
      return nb::dtype<uint16_t>();
    case GgufType::kInt16:
      return nb::dtype<int16_t>();
    case GgufType::kUint32:
      return nb::dtype<uint32_t>();
    case GgufType::kInt32:
      return nb::dtype<int32_t>();
    case GgufType::kFloat32:
      return nb::dtype<float>();
    case GgufType::kBool:
      return nb::dtype<bool>();
    case GgufType::kUint64:
      return nb::dtype<uint64_t>();
    case GgufType::kInt64:
      return nb::dtype<int64_t>();
    case GgufType::kFloat64:
      return nb::dtype<double>();
    default:
      return nb::dtype<uint8_t>();
  }
}

// str, or bytes where the text is not UTF-8: vocabularies hold pieces of characters.
nb::object to_text(std::string_view text) {
  PyObject* string = decode_utf8(text);
  return string != nullptr ? nb::steal(string) : nb::object(nb::bytes(text.data(), text.size()));
}

nb::object to_python(const GgufValue& value) {
  if (value.type == GgufType::kArray) {
    nb::list list;
    for (const GgufValue& item : value.arrays) list.append(to_python(item));
    return list;
  }
  if (value.type == GgufType::kString) {
    if (!value.is_array) return to_text(value.text(0));
    nb::list list;
    for (int64_t i = 0; i < value.count; ++i) list.append(to_text(value.text(i)));
    return list;
  }
  const NumpyArray numbers(value.bytes.data(), {static_cast<size_t>(value.count)}, nb::handle(), {},
                           dtype_of(value.type));
  const nb::object array = nb::cast(numbers, nb::rv_policy::copy);
  return value.is_array ? array : array.attr("item")(0);
}

nb::dict gguf_metadata(const GgufHandle& self) {
  nb::dict dict;
  for (const auto& entry : self.file->metadata()) dict[nb::cast(entry.name)] = to_python(entry.value);
  return dict;
}

// --- GGUF tensors

std::vector<size_t> sizes_of(const GgufTensor& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

// A tensor, or one matrix of a stack of them.
struct GgufPart {
  const uint8_t* source;
  int64_t blocks;
  std::vector<size_t> sizes;
};

GgufPart part_of(const GgufHandle& self, const GgufTensor& tensor, std::optional<int64_t> expert) {
  GgufPart part{self.file->mapping()->data() + tensor.bytes.offset, tensor.blocks(), sizes_of(tensor)};
  if (!expert) return part;
  require("gguf", part.sizes.size() == 3 && *expert >= 0 && *expert < static_cast<int64_t>(part.sizes[0]),
          "the tensor is no stack with such a matrix");
  part.blocks /= static_cast<int64_t>(part.sizes[0]);
  part.source += *expert * part.blocks * tensor.type->block_bytes;
  part.sizes.erase(part.sizes.begin());
  return part;
}

NumpyArray gguf_decode(const GgufHandle& self, const std::string& name, std::optional<int64_t> expert) {
  const GgufTensor& tensor = self.file->tensor(name);
  const std::string& path = self.file->mapping()->path();
  if (!tensor.type->can_decode) {
    fail(ErrorKind::kWeight, path, ": tensor '", interchange::shown(name), "' has type ", tensor.type->name,
         ", which is not served; give a file of F32, F16, BF16, Q8_0, Q4, Q5, K types or MXFP4");
  }
  const GgufPart part = part_of(self, tensor, expert);
  const size_t elements = static_cast<size_t>(part.blocks * tensor.type->block_elements);
  std::unique_ptr<float[]> values(new float[elements]);
  {
    nb::gil_scoped_release release;
    interchange::decode_blocks(tensor.type->type, part.source, part.blocks, values.get());
  }
  return own_shaped(std::move(values), part.sizes, nb::dtype<float>());
}

nb::object gguf_grid(const GgufHandle& self, const std::string& name, std::optional<int64_t> expert) {
  const GgufTensor& tensor = self.file->tensor(name);
  const int64_t scale_bytes = interchange::grid_scale_bytes(tensor.type->type);
  if (scale_bytes == 0 || tensor.shape.empty()) return nb::none();
  const GgufPart part = part_of(self, tensor, expert);
  const size_t elements = static_cast<size_t>(part.blocks * tensor.type->block_elements);
  std::unique_ptr<uint8_t[]> codes(new uint8_t[elements]);
  std::unique_ptr<uint8_t[]> scales(new uint8_t[static_cast<size_t>(part.blocks * scale_bytes)]);
  {
    nb::gil_scoped_release release;
    interchange::split_blocks(tensor.type->type, part.source, part.blocks, codes.get(), scales.get());
  }
  const std::vector<size_t>& sizes = part.sizes;
  std::vector<size_t> scale_sizes = sizes;
  scale_sizes.back() = sizes.back() / static_cast<size_t>(tensor.type->block_elements) * scale_bytes;
  return nb::make_tuple(own_shaped(std::move(codes), sizes, nb::dtype<uint8_t>()),
                        own_shaped(std::move(scales), scale_sizes, nb::dtype<uint8_t>()));
}

// --- GGUF blocks from arrays

const GgmlTypeInfo& type_named(const std::string& name) {
  const GgmlTypeInfo* type = interchange::find_ggml_type(std::string_view(name));
  if (type == nullptr) fail(ErrorKind::kInvalidArgument, "[gguf] there is no type '", name, "'");
  return *type;
}

NumpyArray encode(const std::string& name, const Vector<const float>& values) {
  const GgmlTypeInfo& type = type_named(name);
  const int64_t elements = extent(values, 0);
  require("gguf", elements % type.block_elements == 0, "the number of values is no multiple of the block");
  const size_t size = static_cast<size_t>(elements / type.block_elements * type.block_bytes);
  std::unique_ptr<uint8_t[]> blocks(new uint8_t[size]);
  bool fits = false;
  {
    nb::gil_scoped_release release;
    fits = interchange::encode_blocks(type.type, values.data(), elements / type.block_elements, blocks.get());
  }
  if (!fits) {
    fail(ErrorKind::kWeight, "a value is too large for ", name, " or not finite, or ", name,
         " is not written; F16, Q8_0 and Q4_0 hold up to 65504, about 127 and 8 times that; use F32");
  }
  return own_shaped(std::move(blocks), {size}, nb::dtype<uint8_t>());
}

NumpyArray decode(const std::string& name, const Vector<const uint8_t>& bytes) {
  const GgmlTypeInfo& type = type_named(name);
  require("gguf", type.can_decode, "the type is not decoded");
  require("gguf", extent(bytes, 0) % type.block_bytes == 0,
          "the number of bytes is no multiple of the block");
  const int64_t blocks = extent(bytes, 0) / type.block_bytes;
  const size_t elements = static_cast<size_t>(blocks * type.block_elements);
  std::unique_ptr<float[]> values(new float[elements]);
  {
    nb::gil_scoped_release release;
    interchange::decode_blocks(type.type, bytes.data(), blocks, values.get());
  }
  return own_shaped(std::move(values), {elements}, nb::dtype<float>());
}

NumpyArray join(const std::string& name, const Vector<const uint8_t>& codes,
                const Vector<const uint8_t>& scales) {
  const GgmlTypeInfo& type = type_named(name);
  const int64_t scale_bytes = interchange::grid_scale_bytes(type.type);
  require("gguf", scale_bytes != 0, "the type is no grid of codes and scales");
  const int64_t blocks = extent(codes, 0) / type.block_elements;
  require("gguf", extent(codes, 0) % type.block_elements == 0 && extent(scales, 0) == blocks * scale_bytes,
          "codes and scales do not fit the block");
  const size_t size = static_cast<size_t>(blocks * type.block_bytes);
  std::unique_ptr<uint8_t[]> target(new uint8_t[size]);
  interchange::join_blocks(type.type, codes.data(), scales.data(), blocks, target.get());
  return own_shaped(std::move(target), {size}, nb::dtype<uint8_t>());
}

nb::object type_facts(const std::string& name) {
  const GgmlTypeInfo& type = type_named(name);
  return nb::make_tuple(static_cast<uint32_t>(type.type), type.block_elements, type.block_bytes);
}

void check_json(const nb::bytes& text) {
  interchange::JsonReader json(std::string_view(text.c_str(), text.size()), "JSON");
  json.skip();
  json.end();
}

template <typename File>
nb::class_<Handle<File>> bind_file(nb::module_& m, const char* name, const char* what) {
  return nb::class_<Handle<File>>(m, name, what)
      .def_static("open", &open_file<File>, nb::arg("path"))
      .def_prop_ro("size", [](const Handle<File>& self) { return self.file->mapping()->size(); })
      .def("names", &names<File>)
      .def("shape", &shape<File>, nb::arg("name"))
      .def("offset", &offset<File>, nb::arg("name"), "File offset of the tensor in bytes.")
      .def("tensor", &tensor_bytes<File>, nb::arg("name"), "Read-only uint8 view of the tensor's bytes.");
}

}  // namespace

void bind_interchange(nb::module_& m) {
  bind_file<SafetensorsFile>(m, "SafetensorsFile", "A mapped, validated safetensors file.")
      .def_prop_ro("metadata", &safetensors_metadata)
      .def(
          "dtype",
          [](const SafetensorsHandle& self, const std::string& name) {
            return std::string(self.file->tensor(name).dtype);
          },
          nb::arg("name"));
  bind_file<GgufFile>(m, "GgufFile", "A mapped, validated GGUF file.")
      .def_prop_ro("version", [](const GgufHandle& self) { return self.file->version(); })
      .def_prop_ro("alignment", [](const GgufHandle& self) { return self.file->alignment(); })
      .def("metadata", &gguf_metadata)
      .def(
          "dtype",
          [](const GgufHandle& self, const std::string& name) {
            return std::string(self.file->tensor(name).type->name);
          },
          nb::arg("name"))
      .def("decode", &gguf_decode, nb::arg("name"), nb::arg("expert") = nb::none(),
           "float32 values in the tensor's shape, or of one matrix of a stack.")
      .def("grid", &gguf_grid, nb::arg("name"), nb::arg("expert") = nb::none(),
           "Codes and scales as stored, or None.");
  m.def("gguf_type", &type_facts, nb::arg("name"), "(number, elements, bytes) of a block.");
  m.def("gguf_encode", &encode, nb::arg("type"), nb::arg("values"));
  m.def("gguf_decode", &decode, nb::arg("type"), nb::arg("blocks"));
  m.def("gguf_join", &join, nb::arg("type"), nb::arg("codes"), nb::arg("scales"));
  m.def("check_json", &check_json, nb::arg("text"), "Throws unless `text` is one strict JSON value.");
}

}  // namespace arrowmind::bindings
