#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "runtime/cache/kv_cache.h"
#include "runtime/op.h"

namespace arrowmind::runtime {

struct Limits {
  int64_t vocabulary = 0;      // token ids are below this
  int64_t max_length = 0;      // longest sequence
  int64_t output_columns = 0;  // floats in a row of the result
};

struct RunOptions {
  int64_t micro_tokens = 128;   // tokens of a micro-batch, about
  bool normalise = false;       // results to unit length
  const float* rows = nullptr;  // [tokens, columns of the source], for plans that read rows
  // The tokens continue these sequences, which have pages for them; null: each begins with its tokens.
  const CacheRun* cache = nullptr;
  const Memory* memory = nullptr;  // what cross attention looks at, for each sequence
};

// A forward as a flat list of operators over buffers. Built once; run() is safe from several threads at once.
class Plan {
 public:
  explicit Plan(Limits limits) : limits_(limits) {}

  const Limits& limits() const { return limits_; }

  // A buffer of `columns` values per token; codes in blocks are for weights with scales for `group` columns
  // each. Throws Error(kInvalidArgument) for a column count out of range.
  int add_buffer(BufferType type, int64_t columns, int64_t group = 0);
  // Checks that buffer `id` exists with this type and column count (-1: any); `what` names it in the error.
  void expect(int id, BufferType type, int64_t columns, const char* what) const;
  BufferType type(int id) const { return buffers_.at(static_cast<size_t>(id)).type; }
  int64_t columns(int id) const { return buffers_.at(static_cast<size_t>(id)).columns; }
  int64_t group(int id) const { return buffers_.at(static_cast<size_t>(id)).group; }
  int64_t stride(int id) const { return buffers_.at(static_cast<size_t>(id)).stride; }

  // The result is this buffer, a row per token, written in place; else an op writes a row per sequence.
  void set_result(int id);
  // This buffer is the caller's rows (RunOptions), read in place; no op may write it. There are no token ids
  // then.
  void set_source(int id);
  bool gives_tokens() const { return result_ >= 0; }
  int result() const { return result_; }  // -1: rows of sequences
  int source() const { return source_; }  // -1: token ids

  void add_op(std::unique_ptr<Op> op);
  void keep(Keepalive owner) { owners_.push_back(std::move(owner)); }

  // Lays the buffers out; no op can be added afterwards.
  void finish();

  // Runs the forward over all sequences and writes output [sequences or tokens, output_columns].
  // Micro-batches go to the pool's threads one by one; a batch too small for that is split inside the
  // operators instead. The result does not depend on either.
  void run(const Batch& batch, const RunOptions& options, ThreadPool& pool, float* output);

  std::vector<std::string> kernels() const;
  int64_t scratch_bytes_per_token() const { return bytes_per_token_; }

  // For what runs a plan elsewhere. Bytes from the beginning of scratch_bytes(rows) of memory, `rows` a
  // multiple of 16: the places of Slot.
  struct Offsets {
    int64_t data = 0, scale = 0, sum = 0, zero = 0;
  };
  bool is_finished() const { return finished_; }
  int buffers() const { return static_cast<int>(buffers_.size()); }
  int64_t scratch_bytes(int64_t rows) const { return rows * bytes_per_token_; }
  Offsets offsets(int id, int64_t rows) const;
  // Buffers that lie so from `base` on.
  std::vector<Slot> slots(char* base, int64_t rows) const;
  const std::vector<std::unique_ptr<Op>>& ops() const { return ops_; }

 private:
  struct Buffer {
    BufferType type;
    int64_t columns;
    int64_t group;                 // of the weights that codes in blocks meet
    int64_t stride = 0;            // elements between rows
    int64_t scales = 0, sums = 0;  // of a row
    int64_t bytes_per_token = 0;   // data, and scales, sums and zero of codes
    int64_t offset = 0;            // bytes per token of scratch before it
  };
  struct Scratch {
    AlignedBuffer memory;
    std::vector<int32_t> positions;
    std::vector<int32_t> offsets;
  };

  bool is_written(int id) const;
  void lay_out();
  std::vector<Slot> slots(Scratch& scratch, int64_t tokens) const;
  void bind(std::vector<Slot>& slots, const float* rows, float* output) const;
  void run_micro_batch(const Batch& batch, Range range, const RunOptions& options, ThreadPool* pool,
                       float* output);
  std::unique_ptr<Scratch> borrow_scratch();
  void return_scratch(std::unique_ptr<Scratch> scratch);

  Limits limits_;
  std::vector<Buffer> buffers_;
  std::vector<std::unique_ptr<Op>> ops_;
  std::vector<Keepalive> owners_;
  int result_ = -1;
  int source_ = -1;
  bool finished_ = false;
  int64_t bytes_per_token_ = 0;

  std::mutex scratch_mutex_;
  std::vector<std::unique_ptr<Scratch>> free_scratch_;
};

}  // namespace arrowmind::runtime
