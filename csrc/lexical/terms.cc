#include "lexical/terms.h"

#include <algorithm>
#include <array>
#include <utility>

namespace arrowmind::lexical {
namespace {

constexpr size_t kMaxTerm = 64;  // characters of a word that count

// The first ending that fits is taken off. "ss", "us" and "is" protect words such as class and campus.
constexpr std::pair<std::string_view, std::string_view> kEndings[] = {
    {"sses", "ss"}, {"ies", "y"}, {"ings", ""}, {"ing", ""},  {"edly", ""}, {"ied", "y"},
    {"ed", ""},     {"ss", "ss"}, {"us", "us"}, {"is", "is"}, {"s", ""},    {"ly", ""},
};

// U+00C0 to U+00FF without accents, in lower case; ' ' parts words, '?' needs more than one letter of ASCII.
constexpr std::string_view kLatin = "aaaaaa?ceeeeiiii?nooooo ?uuuuy??aaaaaa?ceeeeiiii?nooooo ?uuuuy?y";
static_assert(kLatin.size() == 64);

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_word(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

bool has_vowel(std::string_view text) {
  return text.find_first_of("aeiouy") != std::string_view::npos;
}

// Makes hopp and hop, love and lov one.
void tidy(std::string& stem) {
  if (stem.size() <= 3) return;
  const char last = stem.back();
  const bool doubled = last == stem[stem.size() - 2] && std::string_view("bdfgmnprt").find(last) != stem.npos;
  if (last == 'e' || doubled) stem.pop_back();
}

// One character of UTF-8 as what stands for it: a lower-case character of ASCII, or 0 if there is none. `at`
// goes on behind it. The text is well-formed.
char fold(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  if (first < 0x80) {
    ++at;
    return static_cast<char>(first >= 'A' && first <= 'Z' ? first + ('a' - 'A') : first);
  }
  if (first == 0xc2 && at + 1 < text.size() && byte(at + 1) == 0xa0) {  // a space that does not break
    at += 2;
    return ' ';
  }
  if (first == 0xc3 && at + 1 < text.size()) {
    const char latin = kLatin[byte(at + 1) & 0x3f];
    at += 2;
    return latin == '?' ? '\0' : latin;
  }
  if (first == 0xe2 && at + 2 < text.size() && byte(at + 1) == 0x80) {
    const uint8_t last = byte(at + 2);  // U+2010 to U+2027: dashes, quotation marks, bullets, dots
    at += 3;
    if (last == 0x99) return '\'';
    return last >= 0x90 && last <= 0xa7 ? ' ' : '\0';
  }
  return '\0';
}

}  // namespace

void stem(std::string& word) {
  if (word.ends_with("'s")) word.resize(word.size() - 2);
  std::erase(word, '\'');
  if (!std::all_of(word.begin(), word.end(), is_letter)) return;
  for (const auto& [ending, replacement] : kEndings) {
    if (!word.ends_with(ending)) continue;
    std::string shorter = word.substr(0, word.size() - ending.size());
    shorter += replacement;
    if (shorter.size() >= 3 && has_vowel(shorter)) word = std::move(shorter);
    break;
  }
  tidy(word);
}

TermCounter::TermCounter(std::vector<std::string> terms) : terms_(std::move(terms)) {
  for (const std::string& term : terms_) {
    if (!term.empty()) first_bytes_[static_cast<uint8_t>(term[0])] = true;
  }
}

std::optional<int32_t> TermCounter::count(std::string_view utf8, std::span<int32_t> counts) const {
  std::fill(counts.begin(), counts.end(), 0);
  int32_t total = 0;
  std::string word;
  char before = ' ';  // of a word, or ' ' between words
  const auto end_word = [&] {
    if (word.empty()) return;
    if (word.back() == '\'') word.pop_back();
    ++total;
    count_word(word, counts);
    word.clear();
  };
  for (size_t at = 0; at < utf8.size();) {
    const char c = fold(utf8, at);
    if (c == '\0') return std::nullopt;
    // An apostrophe belongs to a word when letters stand on both sides of it.
    const bool joins = c == '\'' && !word.empty() && before != '\'';
    if (!is_word(c) && !joins) {
      end_word();
      before = ' ';
      continue;
    }
    word.push_back(c);
    before = c;
  }
  end_word();
  return total;
}

void TermCounter::count_word(std::string& word, std::span<int32_t> counts) const {
  if (!first_bytes_[static_cast<uint8_t>(word[0])]) return;
  if (word.size() > kMaxTerm) word.resize(kMaxTerm);
  stem(word);
  for (size_t i = 0; i < terms_.size(); ++i) counts[i] += static_cast<int32_t>(terms_[i] == word);
}

}  // namespace arrowmind::lexical
