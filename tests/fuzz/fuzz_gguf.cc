// Opens a GGUF file, reads all metadata and decodes all tensors. Anything but sound values or
// arrowmind::Error is a finding: so are tensors outside the file or on top of each other, and codes and
// scales that do not give the block again.

#include <memory>
#include <string>
#include <vector>

#include "arrow/utf8.h"
#include "as_file.h"
#include "base/error.h"
#include "interchange/gguf.h"

namespace {

namespace interchange = arrowmind::interchange;
using arrowmind::Error;
using arrowmind::fuzz::require;
using arrowmind::fuzz::touch;
using interchange::GgufFile;
using interchange::GgufTensor;
using interchange::GgufType;
using interchange::GgufValue;

void read_value(const GgufValue& value) {
  if (value.type == GgufType::kArray) {
    require(static_cast<int64_t>(value.arrays.size()) == value.count);
    for (const GgufValue& inner : value.arrays) read_value(inner);
  } else if (value.type == GgufType::kString) {
    require(static_cast<int64_t>(value.ends.size()) == value.count);
    size_t total = 0;
    for (int64_t i = 0; i < value.count; ++i) total += std::string(value.text(i)).size();
    require(total == value.bytes.size());
  } else {
    const int64_t size = interchange::number_bytes(value.type);
    require(size > 0 && static_cast<int64_t>(value.bytes.size()) == size * value.count);
  }
}

void decode(const GgufFile& file, const GgufTensor& tensor) {
  const uint8_t* source = file.mapping()->data() + tensor.bytes.offset;
  const std::unique_ptr<float[]> values(new float[static_cast<size_t>(tensor.elements)]);
  const auto type = tensor.type->type;
  const bool decoded = interchange::decode_blocks(type, source, tensor.blocks(), values.get());
  require(decoded == tensor.type->can_decode);
  const int64_t scale_bytes = interchange::grid_scale_bytes(type);
  std::vector<uint8_t> codes(static_cast<size_t>(tensor.elements));
  std::vector<uint8_t> scales(static_cast<size_t>(tensor.blocks() * scale_bytes));
  std::vector<uint8_t> joined(static_cast<size_t>(tensor.bytes.size));
  if (!interchange::split_blocks(type, source, tensor.blocks(), codes.data(), scales.data())) return;
  require(interchange::join_blocks(type, codes.data(), scales.data(), tensor.blocks(), joined.data()));
  require(std::memcmp(joined.data(), source, joined.size()) == 0);
}

void read_file(const std::string& path) {
  const auto file = GgufFile::open(path);
  for (const auto& entry : file->metadata()) {
    require(arrowmind::arrow::is_utf8(entry.name));
    read_value(entry.value);
  }
  int64_t bytes = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    require(&file->tensor(tensor.name) == &tensor && tensor.bytes.size > 0);
    require(tensor.bytes.offset % file->alignment() == 0);
    touch(*file->mapping(), tensor.bytes);
    bytes += tensor.bytes.size;
    decode(*file, tensor);
  }
  require(bytes < file->mapping()->size());  // no byte belongs to two
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    read_file(arrowmind::fuzz::as_file(data, size));
  } catch (const Error&) {
  }
  return 0;
}
