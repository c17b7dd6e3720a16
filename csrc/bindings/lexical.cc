#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/owned.h"
#include "lexical/telling.h"
#include "lexical/terms.h"

namespace arrowmind::bindings {
namespace {

std::string_view utf8_of(nb::handle text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw nb::python_error();
  return {data, static_cast<size_t>(size)};
}

// The GIL stays held: the texts are read in place.
nb::tuple count_terms(const nb::list& texts, std::vector<std::string> terms) {
  const size_t width = terms.size();
  const lexical::TermCounter counter(std::move(terms));
  std::vector<int32_t> counts(texts.size() * width), lengths(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::span<int32_t> row(counts.data() + i * width, width);
    lengths[i] = counter.count(utf8_of(texts[i]), row).value_or(-1);
  }
  const size_t rows = lengths.size();
  return nb::make_tuple(owned(std::move(counts), {rows, width}), owned(std::move(lengths), {rows}));
}

// The GIL stays held, as above.
nb::ndarray<nb::numpy, int32_t> count_tellings(const nb::list& texts, const std::vector<int64_t>& starts,
                                               int64_t last, std::vector<std::string> of_oneself,
                                               std::vector<std::string> happened) {
  if (starts.size() != texts.size()) throw nb::value_error("one start for each text");
  const lexical::TellingCounter counter(std::move(of_oneself), std::move(happened));
  std::vector<int32_t> counts;
  counts.reserve(texts.size() * 3);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto first = static_cast<size_t>(std::max<int64_t>(starts[i], 0));
    const auto told =
        counter.count(utf8_of(texts[i]), first, static_cast<size_t>(std::max<int64_t>(last, 0)));
    const lexical::Telling row = told.value_or(lexical::Telling{-1, -1, -1});
    counts.insert(counts.end(), {row.of_oneself, row.happened, row.named});
  }
  const size_t rows = counts.size() / 3;
  return owned(std::move(counts), {rows, 3});
}

}  // namespace

void bind_lexical(nb::module_& m) {
  m.def(
      "count_tellings", &count_tellings, nb::arg("texts"), nb::arg("starts"), nb::arg("last"),
      nb::arg("of_oneself"), nb::arg("happened"),
      "Words of oneself, words of the past and proper names in characters `starts[i]` to `last` - 1 of each "
      "text, int32 [texts, 3]; -1 where rare characters leave it to Python.");
  m.def("count_terms", &count_terms, nb::arg("texts"), nb::arg("terms"),
        "How often each text holds each term (int32 [texts, terms]) and how many terms it has (int32 "
        "[texts]); -1 "
        "for a text that is not of Latin words alone, whose counts say nothing.");
}

}  // namespace arrowmind::bindings
