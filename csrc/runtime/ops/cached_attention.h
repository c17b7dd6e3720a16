#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/cached_attention/cached_attention.h"
#include "runtime/execution.h"

namespace arrowmind::runtime {

class Lowering;

// Attention of the new rows of sequences that a cache holds: their keys and values are written to its pages,
// then each row reads the pages up to itself, so that the bits are the same however many rows come at once.
class CachedAttention {
 public:
  // `form`: head size, group, scale, window and cap.
  CachedAttention(const cached_attention::Attend& form, int64_t key_heads, int64_t layer)
      : kernel_(cached_attention::select()), form_(form), key_heads_(key_heads), layer_(layer) {}

  // input = query | key | value.
  void run(const Execution& e, const Slot& input, const Slot& output) const;
  // The same on a device, for forwards over a cache.
  void lower(Lowering& to, int input, int output) const;
  std::string kernel() const { return std::string(kernel_.row.name); }

 private:
  struct Task {
    int64_t sequence, head;
    int64_t begin, end;  // queries
    // Tokens that all of them read from small pages.
    std::pair<int64_t, int64_t> small;
  };

  void write(const Execution& e, const Slot& input, int64_t sequence, int64_t head) const;
  void attend(const Execution& e, const Slot& input, const Slot& output, const Task& task) const;
  void shrink(const Execution& e, int64_t sequence, int64_t head) const;
  void add_tasks(const Execution& e, int64_t sequence, int64_t size, std::vector<Task>& made) const;
  std::vector<Task> tasks(const Execution& e) const;
  const KvCache::Sequence& sequence(const Execution& e, int64_t s) const {
    return *e.cache->sequences[static_cast<size_t>(e.first_sequence + s)];
  }

  const cached_attention::Row& kernel_;
  cached_attention::Attend form_;
  int64_t key_heads_;
  int64_t layer_;
};

}  // namespace arrowmind::runtime
