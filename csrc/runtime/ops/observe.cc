#include "runtime/ops/observe.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

#include "base/error.h"

namespace arrowmind::runtime {
namespace {

class Observe : public Op {
 public:
  Observe(const ColumnStatistics& statistics, int64_t width, int input)
      : statistics_(statistics), width_(width), input_(input) {
    reads = {input};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const std::lock_guard<std::mutex> lock(mutex_);
    for (int64_t row = 0; row < e.batch.tokens(); ++row) {
      const float* x = in.f32() + row * in.stride;
      for (int64_t k = 0; k < width_; ++k) {
        const double value = x[k];
        statistics_.magnitude[k] = std::max(statistics_.magnitude[k], std::abs(value));
        statistics_.squares[k] += value * value;
      }
    }
  }

  std::vector<std::string> kernels() const override { return {}; }

 private:
  ColumnStatistics statistics_;
  int64_t width_;
  int input_;
  mutable std::mutex mutex_;
};

class Record : public Op {
 public:
  Record(const RowRecord& record, int64_t width, int input) : record_(record), width_(width), input_(input) {
    reads = {input};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const int64_t tokens = e.batch.tokens();
    const std::lock_guard<std::mutex> lock(mutex_);
    const int64_t begin = *record_.count;
    if (begin < 0 || tokens > record_.capacity - begin) {
      fail(ErrorKind::kInvalidArgument, "a record of ", record_.capacity, " rows cannot take ", tokens,
           " more after ", begin, "; run fewer tokens at a time");
    }
    for (int64_t row = 0; row < tokens; ++row) {
      std::memcpy(record_.rows + (begin + row) * width_, in.f32() + row * in.stride,
                  static_cast<size_t>(width_) * sizeof(float));
    }
    *record_.count = begin + tokens;
  }

  std::vector<std::string> kernels() const override { return {}; }

 private:
  RowRecord record_;
  int64_t width_;
  int input_;
  mutable std::mutex mutex_;
};

}  // namespace

void add_observe(Plan& plan, int input, const ColumnStatistics& statistics) {
  plan.expect(input, BufferType::kF32, -1, "observe input");
  plan.add_op(std::make_unique<Observe>(statistics, plan.columns(input), input));
}

void add_record(Plan& plan, int input, const RowRecord& record) {
  plan.expect(input, BufferType::kF32, -1, "record input");
  plan.add_op(std::make_unique<Record>(record, plan.columns(input), input));
}

}  // namespace arrowmind::runtime
