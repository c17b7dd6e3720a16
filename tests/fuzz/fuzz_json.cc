// Walks one JSON text in two ways that must agree on whether it is one: skipping it, and reading every value
// by the function for its kind. Anything but arrowmind::Error is a finding.

#include <string>
#include <string_view>

#include "arrow/utf8.h"
#include "as_file.h"
#include "base/error.h"
#include "interchange/json.h"

namespace {

using arrowmind::Error;
using arrowmind::fuzz::require;
using arrowmind::interchange::JsonReader;

bool skips(std::string_view text) {
  try {
    JsonReader json(text, "fuzz");
    json.skip();
    json.end();
    return true;
  } catch (const Error&) {
    return false;
  }
}

char first_of(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? '\0' : text[start];
}

// The members of an outermost array or object, or the outermost text or whole number.
bool reads(std::string_view text) {
  JsonReader json(text, "fuzz");
  std::string key;
  try {
    switch (first_of(text)) {
      case '[':
        json.begin_array();
        while (json.next_item()) json.skip();
        break;
      case '{':
        json.begin_object();
        while (json.next_key(&key)) {
          require(arrowmind::arrow::is_utf8(key));
          json.skip();
        }
        break;
      case '"': {
        const std::string value = json.string();
        require(arrowmind::arrow::is_utf8(value) && value.size() <= text.size());
        break;
      }
      default:
        require(json.count() >= 0);
    }
    json.end();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool is_json = skips(text);
  const char first = first_of(text);
  const bool is_read = reads(text);
  if (first == '[' || first == '{' || first == '"') require(is_read == is_json);
  if (is_read) require(is_json);
  return 0;
}
