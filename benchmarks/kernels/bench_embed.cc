// embed: 64 random tokens of a vocabulary of 30,522, three tables of one element type.

#include "float_rows.h"
#include "kernels/embed/embed.h"

namespace arrowmind::bench {
namespace {

constexpr int64_t kTokens = 64;
constexpr int64_t kWidth = 384;
constexpr int64_t kVocabulary = 30522;

int64_t element_bytes(embed::Element element) {
  return element == embed::Element::kF32 ? 4 : element == embed::Element::kF16 ? 2 : 1;
}

void bench_element(Report& report, embed::Element element, const char* name) {
  const int64_t row_bytes = kWidth * element_bytes(element);
  AlignedBuffer table(kVocabulary * row_bytes);
  std::memset(table.as<void>(), 0x31, static_cast<size_t>(kVocabulary * row_bytes));
  AlignedBuffer scale = normal_floats(kVocabulary);
  AlignedBuffer out(kTokens * kWidth * 4);
  int32_t token[kTokens];
  int32_t place[kTokens];
  std::minstd_rand random{1};
  for (int i = 0; i < kTokens; ++i) {
    token[i] = static_cast<int32_t>(random() % kVocabulary);
    place[i] = i;
  }
  embed::Params p;
  p.word.data = table.as<void>();
  p.word.element = element;
  p.word.rows = kVocabulary;
  p.word.scale = scale.as<float>();
  p.position = p.type = p.word;
  p.token = token;
  p.position_id = place;
  p.width = p.out_stride = kWidth;
  p.out = out.as<float>();
  p.end = kTokens;
  FloatCase what;
  what.shape = cat(kTokens, " x ", kWidth, " ", name);
  what.bytes = static_cast<double>(kTokens * (3 * row_bytes + kWidth * 4));
  what.output = p.out;
  what.output_bytes = static_cast<size_t>(kTokens * kWidth) * 4;
  bench_rows(
      report, embed::rows(), what, [](const embed::Row&) { return true; },
      [&](const embed::Row& row) { row.run(p); });
}

void run(Report& report) {
  bench_element(report, embed::Element::kF32, "fp32");
  bench_element(report, embed::Element::kF16, "fp16");
  bench_element(report, embed::Element::kI8, "int8");
}

const Registration op("embed", run);

}  // namespace
}  // namespace arrowmind::bench
