#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// How memories are told, as `arrowmind.memory.ranking.tellings` counts it, which is the oracle: a recall
// reads some 250 of them, which takes it milliseconds in Python.
namespace arrowmind::lexical {

// What was counted in one text.
struct Telling {
  int32_t of_oneself = 0;
  int32_t happened = 0;
  int32_t named = 0;
};

// Counts words of oneself, words of the past, and proper names.
class TellingCounter {
 public:
  TellingCounter(std::vector<std::string> of_oneself, std::vector<std::string> happened);

  // Of characters `first` to `last` - 1 of a well-formed text, up to what it shares. Nothing where they hold
  // a character whose case or kind a table of the common ones does not tell.
  std::optional<Telling> count(std::string_view utf8, size_t first, size_t last) const;

 private:
  void count_word(std::string_view word, Telling& told) const;

  std::vector<std::string> of_oneself_;
  std::vector<std::string> happened_;
  // By the first byte of a word: whether it may be one of them. Most are not.
  std::array<bool, 256> first_of_oneself_{};
  std::array<bool, 256> first_happened_{};
};

}  // namespace arrowmind::lexical
