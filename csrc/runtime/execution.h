#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/checked.h"
#include "base/thread_pool.h"
#include "residency/lease.h"
#include "runtime/batch.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::device {
class Buffer;
}

namespace arrowmind::runtime {

enum class BufferType : uint8_t { kF32, kI8, kI16, kI8Block };

constexpr int64_t bytes_of(BufferType type) {
  return type == BufferType::kF32 ? 4 : type == BufferType::kI16 ? 2 : 1;
}

// Where one buffer of the plan lies during a forward: one row per token.
struct Slot {
  void* data = nullptr;    // [tokens, stride] of the buffer's type
  int64_t stride = 0;      // elements between rows; codes are padded with zeros to a multiple of 4
  float* scale = nullptr;  // [tokens], codes only; [tokens, blocks] of codes in blocks
  int32_t* sum =
      nullptr;  // [tokens], codes only: sum of the codes less their zero; [tokens, parts] in blocks
  int32_t* zero = nullptr;  // [tokens], int8 only: the code of 0

  float* f32() const { return static_cast<float*>(data); }
};

// What a caller gives beside tokens or rows: for each sequence some rows that it looks at, of one width.
struct Memory {
  const float* rows = nullptr;  // [rows, columns]
  int64_t columns = 0;
  const int32_t* offsets = nullptr;  // [sequences + 1]; sequence s looks at rows [offsets[s], offsets[s + 1])
  const device::Buffer* there = nullptr;  // the rows on a device, for forwards there; `rows` is null then
};

// Into how many parts threads divide so many items: as many for each thread, so that none is left waiting
// while others take one more. One for each where there is little to do, as every part begins with work of its
// own and at another place of memory; up to four where there is much, as a thread may be held up.
constexpr int64_t parts_of(int64_t items, int64_t grain, int64_t threads) {
  const int64_t grains = items / grain;
  if (threads == 1 || grains <= threads) return threads == 1 ? 1 : grains;
  const int64_t most = std::clamp(grains / 8, threads, 4 * threads);
  int64_t best = threads, longest = items;
  for (int64_t parts = threads; parts <= most; parts += threads) {
    const int64_t of_a_thread = ceil_div(items, parts) * (parts / threads);
    if (of_a_thread > longest) continue;
    longest = of_a_thread;
    best = parts;
  }
  return best;
}

class ExpertsElsewhere;

// One forward of one micro-batch: the batch, its buffers, scratch memory, and how its work is spread.
class Execution {
 public:
  Execution(const Batch& micro_batch, ThreadPool* pool) : batch(micro_batch), pool_(pool) {}

  const Batch& batch;
  const int32_t* positions = nullptr;  // [tokens] place of each token in its sequence
  const CacheRun* cache = nullptr;     // what the sequences continue, from `first_sequence` on; or null
  const Memory* memory = nullptr;      // what the sequences look at, from `first_sequence` on; or null
  int64_t first_sequence = 0;
  std::vector<Slot> slots;                // by buffer id
  float* output = nullptr;                // [sequences or tokens, columns of the result]
  bool normalise = false;                 // results to unit length
  ExpertsElsewhere* elsewhere = nullptr;  // takes experts of this operator; or null
  mutable residency::Lease lease;         // weights that are here for the operators of now

  int threads() const { return pool_ == nullptr ? 1 : pool_->threads(); }

  // Runs body(begin, end, worker) over parts of [0, items), spread over the threads when there are any and
  // each part is worth a barrier: at least `grain` items.
  template <typename Body>
  void spread(int64_t items, int64_t grain, const Body& body) const {
    const int64_t parts = parts_of(items, std::max<int64_t>(grain, 1), threads());
    if (pool_ == nullptr || parts <= 1) {
      if (items > 0) body(0, items, 0);
      return;
    }
    pool_->run(parts, [&](int64_t part, int worker) {
      body(items * part / parts, items * (part + 1) / parts, worker);
    });
  }

 private:
  ThreadPool* pool_;  // null: this forward runs on its own thread alone
};

}  // namespace arrowmind::runtime
