#include "lexical/telling.h"

#include <algorithm>
#include <utility>

namespace arrowmind::lexical {
namespace {

constexpr std::string_view kShares = " [shares ";
constexpr std::string_view kPastEnding = "ed ";
constexpr std::string_view kSentenceEnds[] = {". ", "! ", "? "};

enum class Kind { kSpace, kUpper, kLower, kOther, kUnknown };

constexpr Kind kind_of_ascii(uint32_t c) {
  if (c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f)) return Kind::kSpace;
  if (c >= 'A' && c <= 'Z') return Kind::kUpper;
  return c >= 'a' && c <= 'z' ? Kind::kLower : Kind::kOther;
}

Kind kind_of_latin(uint32_t c) {
  if (c == 0x85 || c == 0xa0) return Kind::kSpace;
  if (c == 0xaa || c == 0xb5 || c == 0xba) return Kind::kLower;
  if (c < 0xc0 || c == 0xd7 || c == 0xf7) return Kind::kOther;
  return c < 0xdf ? Kind::kUpper : Kind::kLower;
}

constexpr std::array<Kind, 128> kAscii = [] {
  std::array<Kind, 128> kinds{};
  for (uint32_t c = 0; c < kinds.size(); ++c) kinds[c] = kind_of_ascii(c);
  return kinds;
}();

// As Python's str.isspace, isupper and islower say.
Kind kind_of(uint32_t c) {
  if (c < 0x80) return kAscii[c];
  if (c < 0x100) return kind_of_latin(c);
  const bool is_punctuation = c >= 0x200b && c <= 0x2027;  // dashes, quotation marks, joiners
  const bool is_pictogram = c >= 0x1f300 && c <= 0x1faff;  // and the colours of skin
  const bool is_symbol = (c >= 0x2600 && c <= 0x27bf) || c == 0xfe0f || c == 0x20ac || c == 0x3001;
  return is_punctuation || is_pictogram || is_symbol ? Kind::kOther : Kind::kUnknown;
}

// One character of well-formed UTF-8; `at` goes on behind it.
uint32_t next(std::string_view text, size_t& at) {
  if (static_cast<uint8_t>(text[at]) < 0x80) return static_cast<uint8_t>(text[at++]);
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const uint32_t first = byte(at);
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  uint32_t c = first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) c = c << 6 | (byte(at + i) & 0x3fu);
  at += length;
  return c;
}

// Bytes of so many characters from a place on.
size_t behind(std::string_view text, size_t at, size_t characters) {
  for (; characters > 0 && at < text.size(); --characters) {
    ++at;
    while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80) ++at;
  }
  return at;
}

// How often a part stands in a text, without overlapping.
int32_t count_of(std::string_view text, std::string_view part) {
  int32_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

uint8_t first_byte(std::string_view word) {
  return word.empty() ? uint8_t{0} : static_cast<uint8_t>(word[0]);
}

bool holds(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Whether a word is written as a title, as it is read one character at a time.
class Title {
 public:
  void read(Kind kind) {
    const bool cased = kind == Kind::kUpper || kind == Kind::kLower;
    if (cased && (kind == Kind::kUpper) == after_cased_) is_none_ = true;
    any_ |= cased;
    after_cased_ = cased;
  }
  bool holds() const { return any_ && !is_none_; }

 private:
  bool any_ = false;
  bool is_none_ = false;
  bool after_cased_ = false;
};

}  // namespace

TellingCounter::TellingCounter(std::vector<std::string> of_oneself, std::vector<std::string> happened)
    : of_oneself_(std::move(of_oneself)), happened_(std::move(happened)) {
  for (const std::string& word : of_oneself_) first_of_oneself_[first_byte(word)] = true;
  for (const std::string& word : happened_) first_happened_[first_byte(word)] = true;
}

void TellingCounter::count_word(std::string_view word, Telling& told) const {
  const uint8_t first = first_byte(word);
  if (first_of_oneself_[first]) told.of_oneself += static_cast<int32_t>(holds(of_oneself_, word));
  if (first_happened_[first]) told.happened += static_cast<int32_t>(holds(happened_, word));
}

std::optional<Telling> TellingCounter::count(std::string_view utf8, size_t first, size_t last) const {
  const size_t begin = behind(utf8, 0, first);
  const size_t end = last > first ? behind(utf8, begin, last - first) : begin;
  std::string_view head = utf8.substr(begin, end - begin);
  head = head.substr(0, head.find(kShares));
  Telling told;
  int32_t words = 0;
  int32_t titles = 0;
  int32_t selves = 0;
  for (size_t at = 0; at < head.size();) {
    const size_t start = at;
    size_t stop = at;
    Title title;
    bool ended = false;
    while (at < head.size() && !ended) {
      stop = at;
      const Kind kind = kind_of(next(head, at));
      if (kind == Kind::kUnknown) return std::nullopt;
      ended = kind == Kind::kSpace;
      if (!ended) {
        title.read(kind);
        stop = at;
      }
    }
    if (stop == start) continue;
    const std::string_view word = head.substr(start, stop - start);
    count_word(word, told);
    selves += static_cast<int32_t>(word == "I");
    titles += static_cast<int32_t>(words > 0 && title.holds());
    ++words;
  }
  told.happened += count_of(head, kPastEnding);
  int32_t begun = 0;
  for (const std::string_view sentence_end : kSentenceEnds) begun += count_of(head, sentence_end);
  told.named = std::max(titles - selves - begun, 0);
  return told;
}

}  // namespace arrowmind::lexical
