// Opens a safetensors file and reads all that it offers. Anything but sound values or arrowmind::Error is a
// finding: so are tensors outside the file or on top of each other.
//
// The first byte of an input chooses its form, so that mutations need not keep a length at the head:
//   even: the rest is the file
//   odd:  the second byte is the number of bytes behind the header, the rest is the header

#include <cstring>
#include <string>

#include "arrow/utf8.h"
#include "as_file.h"
#include "base/error.h"
#include "interchange/safetensors.h"

namespace {

using arrowmind::Error;
using arrowmind::fuzz::require;
using arrowmind::fuzz::touch;
using arrowmind::interchange::SafetensorsFile;

std::string framed(const std::string& rest) {
  if (rest.empty()) return rest;
  const std::string header = rest.substr(1);
  const uint64_t size = header.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
  return file + header + std::string(static_cast<uint8_t>(rest[0]), 'x');
}

void read_file(const std::string& path) {
  const auto file = SafetensorsFile::open(path);
  int64_t bytes = 0;
  for (const auto& tensor : file->tensors()) {
    require(&file->tensor(tensor.name) == &tensor);
    require(arrowmind::arrow::is_utf8(tensor.name));
    bytes += tensor.bytes.size;
    if (tensor.bytes.size > 0) touch(*file->mapping(), tensor.bytes);
  }
  require(bytes < file->mapping()->size());  // no byte belongs to two
  for (const auto& [key, value] : file->metadata()) {
    require(arrowmind::arrow::is_utf8(key) && arrowmind::arrow::is_utf8(value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 != 0) content = framed(content);
  try {
    read_file(arrowmind::fuzz::as_file(content.data(), content.size()));
  } catch (const Error&) {
  }
  return 0;
}
