#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Terms of texts, as `arrowmind.memory.searching.terms` makes them, for texts of Latin words alone; that
// module is the oracle. A recall reads the words of hundreds of texts, which takes it milliseconds in Python.
namespace arrowmind::lexical {

// Counts how often texts hold given terms.
class TermCounter {
 public:
  // `terms` of a query, each once.
  explicit TermCounter(std::vector<std::string> terms);

  // counts[i] = how often the text holds term i; returns the number of all its terms. Nothing when the text
  // has characters that need more than a table to be folded: nothing is then said of it.
  std::optional<int32_t> count(std::string_view utf8, std::span<int32_t> counts) const;

 private:
  void count_word(std::string& word, std::span<int32_t> counts) const;

  std::vector<std::string> terms_;
  bool first_bytes_[256] = {};  // of terms: a stem begins as its word does
};

// The word without its English ending, in place; ASCII, lower case, apostrophes as "'".
void stem(std::string& word);

}  // namespace arrowmind::lexical
