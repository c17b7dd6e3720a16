#include "arrow/utf8.h"

#include <algorithm>
#include <cstdint>

namespace arrowmind::arrow {
namespace {

// Length of the sequence starting at text[i], 0 when it is not well formed.
size_t sequence_length(std::string_view text, size_t i) {
  const auto byte = [&](size_t j) { return static_cast<uint8_t>(text[j]); };
  const uint8_t lead = byte(i);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - i < length) return 0;
  // The second byte's range excludes overlong forms, surrogates and code points beyond the last plane.
  const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(i + 1) < low || byte(i + 1) > high) return 0;
  for (size_t j = i + 2; j < i + length; ++j) {
    if ((byte(j) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string printable(std::string_view text) {
  std::string shown(text);
  if (!is_utf8(text)) {
    std::replace_if(shown.begin(), shown.end(), [](char c) { return static_cast<uint8_t>(c) >= 0x80; }, '?');
  }
  return shown;
}

}  // namespace arrowmind::arrow
