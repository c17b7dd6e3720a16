#include "interchange/json.h"

#include "arrow/utf8.h"
#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::interchange {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(uint32_t code, std::string* out) {
  const auto add = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xc0 | code >> 6);
    add(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    add(0xe0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  } else {
    add(0xf0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3f));
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  }
}

}  // namespace

void JsonReader::damaged(std::string_view why) const {
  fail(ErrorKind::kIntegrity, what_, ": ", why, " at byte ", position_, "; download or copy it again");
}

void JsonReader::skip_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
    ++position_;
  }
}

void JsonReader::expect(char wanted) {
  skip_space();
  // The size is compared, too: a zero byte in the text is no end of it.
  if (position_ >= text_.size() || text_[position_] != wanted) {
    damaged(cat("JSON needs '", std::string(1, wanted), "'"));
  }
  ++position_;
}

void JsonReader::expect_word(std::string_view word) {
  if (text_.substr(position_, word.size()) != word) damaged("JSON has an unknown word");
  position_ += word.size();
}

void JsonReader::begin(char open) {
  expect(open);
  if (is_empty_.size() >= kDepthLimit) damaged(cat("JSON is nested deeper than ", int{kDepthLimit}));
  is_empty_.push_back(true);
}

// Stands before the next member, or behind the end of the container.
bool JsonReader::next(char close) {
  skip_space();
  if (position_ < text_.size() && peek() == close) {
    ++position_;
    is_empty_.pop_back();
    return false;
  }
  if (!is_empty_.back()) expect(',');
  is_empty_.back() = false;
  return true;
}

void JsonReader::begin_object() {
  begin('{');
}

void JsonReader::begin_array() {
  begin('[');
}

bool JsonReader::next_item() {
  return next(']');
}

bool JsonReader::next_key(std::string* key) {
  if (!next('}')) return false;
  *key = string();
  expect(':');
  return true;
}

std::string JsonReader::string() {
  expect('"');
  std::string out;
  for (;;) {
    const size_t start = position_;
    while (position_ < text_.size() && text_[position_] != '"' && text_[position_] != '\\') {
      if (static_cast<uint8_t>(text_[position_]) < 0x20) damaged("JSON text has a control character");
      ++position_;
    }
    if (position_ >= text_.size()) damaged("JSON text does not end");
    out.append(text_.substr(start, position_ - start));
    if (text_[position_++] == '"') break;
    append_escape(&out);
  }
  if (!arrow::is_utf8(out)) damaged("JSON text is not UTF-8");
  return out;
}

uint32_t JsonReader::hex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++position_) {
    const char c = peek();
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit(c) && !(lower >= 'a' && lower <= 'f')) damaged("JSON has an escape without four digits");
    code = code * 16 + static_cast<uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
  }
  return code;
}

void JsonReader::append_escape(std::string* out) {
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char name = peek();
  const size_t found = kNames.find(name);
  if (position_ < text_.size() && found != std::string_view::npos) {
    ++position_;
    out->push_back(kMeanings[found]);
    return;
  }
  if (name != 'u') damaged("JSON has an unknown escape");
  ++position_;
  uint32_t code = hex4();
  if (code >= 0xd800 && code < 0xdc00) {
    if (text_.substr(position_, 2) != "\\u") damaged("JSON has half a surrogate pair");
    position_ += 2;
    const uint32_t low = hex4();
    if (low < 0xdc00 || low > 0xdfff) damaged("JSON has half a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xdc00 && code < 0xe000) {
    damaged("JSON has half a surrogate pair");
  }
  append_utf8(code, out);
}

int64_t JsonReader::count() {
  skip_space();
  const size_t start = position_;
  int64_t value = 0;
  while (is_digit(peek())) {
    if (!checked_mul<int64_t>(value, 10, &value) || !checked_add<int64_t>(value, peek() - '0', &value)) {
      damaged("JSON has a number above 2^63 - 1");
    }
    ++position_;
  }
  const bool has_zero_in_front = position_ - start > 1 && text_[start] == '0';
  const char after = peek();
  if (position_ == start || has_zero_in_front || after == '.' || after == 'e' || after == 'E') {
    damaged("JSON has a number that is not a whole number of at least 0");
  }
  return value;
}

void JsonReader::skip_digits() {
  if (!is_digit(peek())) damaged("JSON has a number without digits");
  while (is_digit(peek())) ++position_;
}

void JsonReader::skip_number() {
  if (peek() == '-') ++position_;
  if (peek() == '0') {
    ++position_;
    if (is_digit(peek())) damaged("JSON has a number with a zero in front");
  } else {
    skip_digits();
  }
  if (peek() == '.') {
    ++position_;
    skip_digits();
  }
  if (peek() == 'e' || peek() == 'E') {
    ++position_;
    if (peek() == '+' || peek() == '-') ++position_;
    skip_digits();
  }
}

// Recursion is bounded by kDepthLimit.
void JsonReader::skip() {
  skip_space();
  switch (peek()) {
    case '{': {
      std::string key;
      begin_object();
      while (next_key(&key)) skip();
      return;
    }
    case '[':
      begin_array();
      while (next_item()) skip();
      return;
    case '"':
      string();
      return;
    case 't':
      return expect_word("true");
    case 'f':
      return expect_word("false");
    case 'n':
      return expect_word("null");
    default:
      return skip_number();
  }
}

void JsonReader::end() {
  skip_space();
  if (position_ < text_.size()) damaged("JSON goes on behind its end");
}

}  // namespace arrowmind::interchange
