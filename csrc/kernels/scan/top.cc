#include "kernels/scan/top.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/checked.h"

namespace arrowmind::scan {
namespace {

constexpr int64_t kBlock = 4096;  // rows between two looks at the selection: 16 KiB of results, in L1
constexpr int64_t kTaskRows = 8 * kBlock;  // rows a thread takes at once
constexpr uint32_t kNanKey = std::numeric_limits<uint32_t>::max();

// Order-reversing map of floats to unsigned numbers: a higher score is a smaller key.
uint32_t key_of_score(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  const uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return score == score ? ~ascending : kNanKey;
}

float score_of_key(uint32_t key) {
  if (key == kNanKey) return std::numeric_limits<float>::quiet_NaN();
  const uint32_t ascending = ~key;
  return std::bit_cast<float>((ascending & 0x80000000u) != 0 ? ascending & 0x7fffffffu : ~ascending);
}

float score(const Search& search, int64_t row, int32_t dot) {
  return static_cast<float>(dot) * (search.scales[row] * search.query_scale);
}

// Keeps the `top` smallest of what it is shown. Candidates gather in a buffer that is cut back to `top` when
// it holds several times as many: constant work per candidate, and after a few cuts hardly a row becomes one.
// Where keys are few, as distances of one-bit codes are, their counts tell at every candidate beyond which
// key none can be among the best; waiting for the next cut would let a third more in.
class Selector {
 public:
  // Keys are less than `keys`; 0 for any.
  Selector(int64_t top, uint32_t max_key, uint32_t keys)
      : top_(static_cast<size_t>(top)),
        bound_(whole(max_key)),
        slack_(keys > 0 ? 4 : 2),
        counts_(keys),
        last_(keys > 0 ? keys - 1 : 0) {}

  uint32_t bound_key() const { return static_cast<uint32_t>(bound_ >> 32); }

  void add(Ranked candidate) {
    if (candidate > bound_) return;
    kept_.push_back(candidate);
    if (!counts_.empty()) count(candidate);
    if (kept_.size() >= slack_ * (top_ + 512)) cut();
  }

  // In no order.
  std::vector<Ranked> take() {
    cut();
    return std::move(kept_);
  }

 private:
  // The greatest rank of a key.
  static Ranked whole(uint32_t key) { return static_cast<Ranked>(key) << 32 | 0xffffffffu; }

  void count(Ranked candidate) {
    const uint32_t key = static_cast<uint32_t>(candidate >> 32);
    counts_[key] += 1;
    below_ += 1;
    if (below_ - counts_[last_] < top_) return;
    while (below_ - counts_[last_] >= top_) below_ -= counts_[last_--];
    bound_ = std::min(bound_, whole(last_));
  }

  void cut() {
    std::erase_if(kept_, [this](Ranked candidate) { return candidate > bound_; });
    if (kept_.size() <= top_) return;
    std::nth_element(kept_.begin(), kept_.begin() + static_cast<int64_t>(top_) - 1, kept_.end());
    kept_.resize(top_);
    bound_ = kept_.back();
    if (counts_.empty()) return;
    std::fill(counts_.begin(), counts_.end(), 0);
    for (const Ranked candidate : kept_) counts_[static_cast<uint32_t>(candidate >> 32)] += 1;
    last_ = bound_key();
    below_ = top_;
  }

  size_t top_;
  Ranked bound_;  // nothing above it can be among the best
  size_t slack_;
  std::vector<Ranked> kept_;
  std::vector<uint32_t> counts_;  // of candidates with each key; empty where keys are many
  uint32_t last_;                 // a candidate with a greater key is not among the best
  size_t below_ = 0;              // candidates with this key or a smaller one
};

bool is_excluded(const Search& search, uint32_t row) {
  return search.excluded != nullptr && ((search.excluded[row / 8] >> (row % 8)) & 1) != 0;
}

// The part of a search that one thread does between two looks at the selection.
class BlockScan {
 public:
  BlockScan(const Search& search, Function kernel) : search_(search), kernel_(kernel) {}

  void run(int64_t begin, int64_t count, Selector& selector) {
    Params p = search_.params;
    if (p.rows != nullptr) p.rows += begin;
    p.first += begin;
    p.count = count;
    p.out = values_.data();
    kernel_(p);
    make_keys(p);
    select(p, selector);
  }

 private:
  static int64_t row_number(const Params& p, int64_t i) {
    return p.rows != nullptr ? static_cast<int64_t>(p.rows[i]) : p.first + i;
  }

  void make_keys(const Params& p) {
    if (search_.codes == Codes::kBits) {
      for (int64_t i = 0; i < p.count; ++i) keys_[i] = static_cast<uint32_t>(values_[i]);
    } else if (p.rows != nullptr) {
      for (int64_t i = 0; i < p.count; ++i) keys_[i] = key_of_score(score(search_, p.rows[i], values_[i]));
    } else {
      for (int64_t i = 0; i < p.count; ++i) keys_[i] = key_of_score(score(search_, p.first + i, values_[i]));
    }
  }

  // Most groups of sixteen hold no candidate, and asking the whole group at once is cheap.
  void select(const Params& p, Selector& selector) const {
    constexpr int64_t kGroup = 16;
    for (int64_t i = 0; i < p.count; i += kGroup) {
      const int64_t end = std::min(i + kGroup, p.count);
      const uint32_t bound = selector.bound_key();
      uint32_t best = kNanKey;
      for (int64_t j = i; j < end; ++j) best = std::min(best, keys_[j]);
      if (best > bound) continue;
      for (int64_t j = i; j < end; ++j) {
        if (keys_[j] > bound) continue;
        const uint32_t row = static_cast<uint32_t>(row_number(p, j));
        if (!is_excluded(search_, row)) {
          selector.add(static_cast<Ranked>(keys_[j]) << 32 | (row + search_.offset));
        }
      }
    }
  }

  const Search& search_;
  Function kernel_;
  alignas(64) std::array<int32_t, kBlock> values_;
  alignas(64) std::array<uint32_t, kBlock> keys_;
};

// Rows of one table that a thread takes at once.
struct Task {
  const Search* search;
  int64_t begin;
  int64_t end;
};

std::vector<Task> tasks_of(std::span<const Search> parts) {
  std::vector<Task> tasks;
  for (const Search& part : parts) {
    for (int64_t begin = 0; begin < part.params.count; begin += kTaskRows) {
      tasks.push_back({&part, begin, std::min(begin + kTaskRows, part.params.count)});
    }
  }
  return tasks;
}

// Keys there can be, where they are few enough to be counted; 0 otherwise.
uint32_t few_keys(const Search& search) {
  constexpr int64_t kMostBytes = 2048;
  if (search.codes != Codes::kBits || search.params.row_bytes > kMostBytes) return 0;
  return static_cast<uint32_t>(8 * search.params.row_bytes + 1);
}

// The best of all parts, in no order.
std::vector<Ranked> best_of(std::span<const Search> parts, ThreadPool& pool) {
  const std::vector<Task> tasks = tasks_of(parts);
  if (tasks.empty() || parts[0].top <= 0) return {};
  int64_t rows = 0;
  for (const Search& part : parts) rows += part.params.count;
  const int64_t top = std::min(parts[0].top, rows);
  const Function kernel = select(parts[0].codes).run;
  const uint32_t max_key = parts[0].codes == Codes::kBits ? parts[0].max_distance : kNanKey;
  const Selector fresh(top, max_key, few_keys(parts[0]));
  std::vector<Selector> selectors(static_cast<size_t>(pool.threads()), fresh);
  pool.run(static_cast<int64_t>(tasks.size()), [&](int64_t number, int worker) {
    const Task& task = tasks[static_cast<size_t>(number)];
    BlockScan scan(*task.search, kernel);
    for (int64_t begin = task.begin; begin < task.end; begin += kBlock) {
      scan.run(begin, std::min(kBlock, task.end - begin), selectors[static_cast<size_t>(worker)]);
    }
  });
  if (selectors.size() == 1) return selectors[0].take();
  Selector all = fresh;
  for (Selector& selector : selectors) {
    for (const Ranked candidate : selector.take()) all.add(candidate);
  }
  return all.take();
}

}  // namespace

uint32_t row_of(Ranked ranked) {
  return static_cast<uint32_t>(ranked);
}

int32_t distance_of(Ranked ranked) {
  return static_cast<int32_t>(ranked >> 32);
}

float score_of(Ranked ranked) {
  return score_of_key(static_cast<uint32_t>(ranked >> 32));
}

std::vector<Ranked> top_rows(const Search& search, ThreadPool& pool) {
  return top_rows(std::span(&search, 1), pool);
}

std::vector<Ranked> top_rows(std::span<const Search> parts, ThreadPool& pool) {
  std::vector<Ranked> best = best_of(parts, pool);
  std::sort(best.begin(), best.end());
  return best;
}

std::vector<uint32_t> near_rows(std::span<const Search> parts, ThreadPool& pool) {
  const std::vector<Ranked> best = best_of(parts, pool);
  std::vector<uint32_t> rows(best.size());
  std::transform(best.begin(), best.end(), rows.begin(), row_of);
  std::sort(rows.begin(), rows.end());
  return rows;
}

void dot_scores(const Search& search, float* out) {
  const Function kernel = select(Codes::kI8).run;
  std::array<int32_t, kBlock> dots;
  for (int64_t begin = 0; begin < search.params.count; begin += kBlock) {
    Params p = search.params;
    if (p.rows != nullptr) p.rows += begin;
    p.first += begin;
    p.count = std::min(kBlock, search.params.count - begin);
    p.out = dots.data();
    kernel(p);
    for (int64_t i = 0; i < p.count; ++i) {
      const int64_t row = p.rows != nullptr ? static_cast<int64_t>(p.rows[i]) : p.first + i;
      out[begin + i] = score(search, row, dots[static_cast<size_t>(i)]);
    }
  }
}

}  // namespace arrowmind::scan
