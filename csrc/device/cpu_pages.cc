// Keys and values in pages, on the cpu device.

#include <algorithm>
#include <vector>

#include "base/aligned_buffer.h"
#include "device/cpu_operators.h"
#include "kernels/cached_attention/cached_attention.h"

namespace arrowmind::device {
namespace {

// Rows of one sequence, which stand one behind the other.
struct Run {
  int64_t begin, end;
  int64_t sequence;
  int64_t first;             // place of the first one in its sequence
  std::vector<char*> pages;  // of the sequence; null: there is none
};

std::vector<char*> pages_at(const uint32_t* begins, int64_t count, char* memory) {
  std::vector<char*> pages;
  for (int64_t i = 0; i < count; ++i) {
    pages.push_back(begins[i] == kNoPage ? nullptr : memory + int64_t{4} * begins[i]);
  }
  return pages;
}

// Places 1 to 3 and 5 of the kernels over rows are the same.
template <typename Parameters>
std::vector<Run> runs_of(const Parameters& p, void* const* places) {
  const auto* table = at<const uint32_t>(places, 1);
  const auto* sequence_of = at<const int32_t>(places, 2);
  const auto* place_of = at<const int32_t>(places, 3);
  std::vector<Run> runs;
  for (int64_t row = 0; row < p.rows;) {
    Run run{.begin = row, .end = row + 1, .sequence = sequence_of[row], .first = place_of[row], .pages = {}};
    while (run.end < p.rows && sequence_of[run.end] == sequence_of[row]) ++run.end;
    const int64_t pages = place_of[run.end - 1] / p.page_tokens + 1;
    run.pages = pages_at(table + run.sequence * p.table_stride, pages, at<char>(places, 5));
    row = run.end;
    runs.push_back(std::move(run));
  }
  return runs;
}

cached_attention::Layout layout_of(const PagePart& part) {
  return {.format = static_cast<cached_attention::Format>(part.format),
          .values = part.values,
          .key_scales = part.key_scales,
          .value_scales = part.value_scales,
          .bytes = part.head_bytes};
}

template <typename Parameters>
cached_attention::Head head_of(const Parameters& p, const PagePart& part, const std::vector<char*>& pages,
                               uint32_t head, const float* signs) {
  return {.pages = pages.data(),
          .offset = part.first_byte + int64_t{head} * part.head_bytes,
          .page_tokens = p.page_tokens,
          .layout = layout_of(part),
          .signs = p.turned != 0 ? signs : nullptr};
}

void write_pages(void* const* places, const void* parameters) {
  const auto p = read_parameters<CacheWriteParameters>(parameters);
  for (const Run& run : runs_of(p, places)) {
    const float* k = at<float>(places, 0) + run.begin * p.in_stride + p.heads * p.head_dim;
    for (uint32_t head = 0; head < p.key_heads; ++head, k += p.head_dim) {
      cached_attention::select().write({.k = k,
                                        .v = k + p.key_heads * p.head_dim,
                                        .stride = p.in_stride,
                                        .head_dim = p.head_dim,
                                        .head = head_of(p, p.full, run.pages, head, at<float>(places, 4)),
                                        .first = run.first,
                                        .count = run.end - run.begin});
    }
  }
}

void shrink_pages(void* const* places, const void* parameters) {
  const auto p = read_parameters<CacheShrinkParameters>(parameters);
  const auto* list = at<const uint32_t>(places, 0);
  AlignedBuffer scratch;
  scratch.resize(cached_attention::kShrinkScratch);
  for (uint32_t page = 0; page < p.rows; ++page, list += 2) {
    char* from = at<char>(places, 1) + int64_t{4} * list[0] + p.full.first_byte;
    char* to = at<char>(places, 2) + int64_t{4} * list[1] + p.small.first_byte;
    for (uint32_t head = 0; head < p.key_heads; ++head) {
      cached_attention::select().shrink({.from = from + int64_t{head} * p.full.head_bytes,
                                         .to = to + int64_t{head} * p.small.head_bytes,
                                         .exact = layout_of(p.full),
                                         .small = layout_of(p.small),
                                         .page_tokens = p.page_tokens,
                                         .head_dim = p.head_dim,
                                         .scratch = scratch.as<void>()});
    }
  }
}

// Pages from `first_small` on, below which one that sees `seen` tokens reads them small.
int64_t small_end(const CachedAttentionParameters& p, const Run& run, int64_t seen) {
  if (p.small_table == 0) return 0;
  const auto count = static_cast<int64_t>(run.pages.size());
  int64_t end = std::min<int64_t>(count, seen > p.recent ? (seen - p.recent) / p.page_tokens : 0);
  end = std::max<int64_t>(end, p.first_small);
  while (end < count && run.pages[static_cast<size_t>(end)] == nullptr) ++end;
  return end;
}

void attend_pages(void* const* places, const void* parameters) {
  const auto p = read_parameters<CachedAttentionParameters>(parameters);
  const int64_t group = p.heads / p.key_heads;
  AlignedBuffer scratch;
  for (const Run& run : runs_of(p, places)) {
    const int64_t rows = run.end - run.begin;
    scratch.resize(cached_attention::scratch_bytes(run.first + rows, p.head_dim));
    std::vector<char*> small;
    if (p.small_table > 0) {
      const uint32_t* begins = at<const uint32_t>(places, 1) + p.small_table + run.sequence * p.table_stride;
      small = pages_at(begins, static_cast<int64_t>(run.pages.size()), at<char>(places, 6));
    }
    // Rows that read the same pages small go together.
    for (int64_t row = 0, next = 0; row < rows; row = next) {
      const int64_t end = small_end(p, run, run.first + row + 1);
      for (next = row + 1; next < rows && small_end(p, run, run.first + next + 1) == end;) ++next;
      for (uint32_t head = 0; head < p.key_heads; ++head) {
        const int64_t column = int64_t{head} * group * p.head_dim;
        cached_attention::Attend one{.q = at<float>(places, 0) + run.begin * p.in_stride + column,
                                     .q_stride = p.in_stride,
                                     .out = at<float>(places, 7) + run.begin * p.out_stride + column,
                                     .out_stride = p.out_stride,
                                     .group = group,
                                     .head_dim = p.head_dim,
                                     .scale = p.scale,
                                     .window = p.window,
                                     .cap = p.cap,
                                     .head = head_of(p, p.full, run.pages, head, at<float>(places, 4)),
                                     .small = {},
                                     .cached = run.first,
                                     .begin = row * group,
                                     .end = next * group,
                                     .scratch = scratch.as<void>()};
        if (p.small_table > 0) {
          one.small = head_of(p, p.small, small, head, at<float>(places, 4));
          one.small_begin = int64_t{p.first_small} * p.page_tokens;
          one.small_end = end * p.page_tokens;
        }
        cached_attention::select().attend(one);
      }
    }
  }
}

constexpr CpuKernelRow kPages[] = {
    {"cache_write", write_pages, 6, sizeof(CacheWriteParameters)},
    {"cache_shrink", shrink_pages, 3, sizeof(CacheShrinkParameters)},
    {"cached_attention", attend_pages, 8, sizeof(CachedAttentionParameters)},
};

}  // namespace

std::span<const CpuKernelRow> cpu_pages() {
  return kPages;
}

}  // namespace arrowmind::device
