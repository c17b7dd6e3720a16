#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace arrowmind::interchange {

// Reads one JSON text (RFC 8259, UTF-8) value by value, in order, without building a tree: memory is that of
// what the caller keeps. Strict: no comments, trailing commas, lone surrogates, control characters, NaN.
//
//   JsonReader json(text, "file.json: header");
//   std::string key;
//   json.begin_object();
//   while (json.next_key(&key)) json.skip();   // exactly one value for each key
//   json.end();
//
// Every function throws Error(kIntegrity) with the position when the text is not what it asks for. Keys that
// come twice are the caller's to refuse: it knows which it keeps.
class JsonReader {
 public:
  static constexpr int kDepthLimit = 32;

  // The text must outlive the reader.
  JsonReader(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

  void begin_object();
  bool next_key(std::string* key);  // false at the end of the object
  void begin_array();
  bool next_item();  // false at the end of the array
  std::string string();
  // A whole number in [0, 2^63): digits alone, no sign, fraction or exponent.
  int64_t count();
  // A value of any kind.
  void skip();
  // Nothing but white space may follow.
  void end();

  [[noreturn]] void damaged(std::string_view why) const;

 private:
  void begin(char open);
  bool next(char close);
  void skip_number();
  void skip_digits();
  void expect(char wanted);
  void expect_word(std::string_view word);
  void skip_space();
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  void append_escape(std::string* out);
  uint32_t hex4();

  std::string_view text_;
  std::string what_;
  size_t position_ = 0;
  std::vector<bool> is_empty_;  // per open container: nothing was read in it yet
};

}  // namespace arrowmind::interchange
