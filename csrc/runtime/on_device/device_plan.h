#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/caching_allocator.h"
#include "runtime/on_device/device_weights.h"
#include "runtime/on_device/expert_cache.h"
#include "runtime/on_device/launch_graphs.h"
#include "runtime/on_device/lowering.h"
#include "runtime/on_device/passing_weights.h"
#include "runtime/on_device/shared_rows.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// What a kernel of a forward took on the device.
struct StepTime {
  std::string kernel;
  int64_t nanoseconds = 0;
};

// The largest of a row of results, and its column: of equals the first. NaN where the row has any.
struct Peak {
  uint32_t column = 0;
  float value = 0.0f;
};

// Of each row of results its largest, and sums over all of it: `candidates` of device/kernels.h.
struct Candidates {
  int64_t count = 0, sums = 0;               // of each row; there is one at least of the first
  std::span<const float> temperatures = {};  // [rows][sums]
  std::span<uint32_t> words = {};            // [rows][2 * count + sums]: columns, bits of values, of sums
  std::span<const int32_t> whole = {};       // rows that come as they are, too, by their numbers, ascending
  std::span<float> whole_rows = {};          // [whole][columns of a result]
  int64_t first = 0;                         // number of the first row
};

struct PlacingOptions {
  // So many of the first layers with experts leave these to the CPU, and `threads`.
  int64_t experts_here = 0;
  ThreadPool* threads = nullptr;
  // The blocks stay with the host: each forward sends their weights, two blocks at a time, and the keys and
  // values that they read.
  bool passes = false;
  // Single ones of the experts that stay with the CPU.
  ExpertCacheOptions cache = {};
  // Activations in float32 are multiplied as bfloat16 where the device has kernels that do.
  bool mixed = false;
  // Large ones of these by warpgroups, where the device can and does as it should.
  bool wgmma = true;
  // Forwards that come again are told to the device once, where it can.
  Graphs graphs = Graphs::kAuto;
};

// A plan whose operators run as kernels of a device; the same results as the plan's within the tolerance of
// floats, to the bit on devices that keep to the order of its sums. Safe from several threads.
class DevicePlan {
 public:
  // The plan stays as it is for as long as this lives. Throws DeviceFailure: kNotSupported where the device
  // has no kernel for an operator, kOutOfMemory where it has no room for the weights.
  DevicePlan(const Plan& plan, std::shared_ptr<DeviceWeights> weights,
             std::shared_ptr<device::CachingAllocator> memory, const PlacingOptions& options = {});

  // As Plan::run(), over micro-batches one by one. Throws DeviceFailure; nothing of the output can be used
  // then.
  // `times`: takes those of all kernels, in order; the device is measured between them, which costs a little.
  void run(const Batch& batch, const RunOptions& options, float* output,
           std::vector<StepTime>* times = nullptr);

  // The same, and results stay: row i becomes row places[i] of `output`, which is on this device. They are
  // there when it returns.
  void run_there(const Batch& batch, const RunOptions& options, SharedRows& output,
                 std::span<const int32_t> places);

  // The same, of each row of results the largest: no more comes to the host. `peaks` has one for each row.
  void run_peaks(const Batch& batch, const RunOptions& options, std::span<Peak> peaks);

  // The same, of each row of results what `wanted` says: no more comes to the host.
  void run_candidates(const Batch& batch, const RunOptions& options, const Candidates& wanted);

  // The most rows of a forward that take `bytes` of the device at most, in steps of 64, which any forward
  // takes room for; each may be a sequence of its own. Tables of pages come on top.
  int64_t most_rows(int64_t bytes) const;

  const Plan& plan() const { return plan_; }
  const std::shared_ptr<device::Device>& device() const { return device_; }
  std::vector<std::string> kernels() const;    // by name, each once
  bool is_mixed() const { return is_mixed_; }  // whether any rounds activations to bfloat16
  // Whether large products may be those of warpgroups; and those that might be and are not, with the reasons.
  bool has_wgmma() const { return rounded_columns_ > 0; }
  const std::map<std::string, std::string>& left_out() const { return left_out_; }
  ExpertCache* expert_cache() const { return cache_.get(); }  // or null
  bool passes() const { return passing_ != nullptr; }
  GraphCounters graph_counters() const { return graphs_ == nullptr ? GraphCounters() : graphs_->counters(); }
  void drop_graphs() {
    if (graphs_ != nullptr) graphs_->drop();
  }
  int64_t sent_bytes() const { return passes() ? passing_->sent_bytes() : 0; }  // of weights that pass

 private:
  // A kernel as the device knows it; and those for few rows and for much work, where there are any.
  struct Kernel {
    uint64_t number = 0;
    device::KernelShape shape;
    std::string name = {};
  };
  struct Launch {
    Kernel kernel, few;
    std::optional<Kernel> wide;            // of many outputs and rows; of many rows for each sequence
    std::optional<Kernel> wgmma;           // in place of it, by warpgroups
    std::vector<device::Slice> constants;  // by place; no buffer: none
  };
  // What one forward at a time uses; kept for the next.
  struct Context {
    explicit Context(device::Stream made) : stream(std::move(made)) {}
    std::vector<std::byte> inputs;   // what goes to the device before a forward, as it lies there
    std::vector<int64_t> to_shrink;  // pages, by group of layers
    std::vector<float> route;
    std::vector<int32_t> lists, places;
    std::vector<float> temperatures;
    AlignedBuffer here;                               // buffers of operators that run on the CPU
    std::shared_ptr<const RecordedForward> recorded;  // that is under way, or null
    device::Stream stream;
  };
  // Offsets of a micro-batch in its block of memory.
  struct Layout {
    int64_t rows = 0;  // padded
    int64_t source = 0, result = 0, spare = 0, rounded = 0, bytes = 0;
    // What each forward is given, from `numbers` up to the end of the inputs: numbers of rows, offsets of
    // rows that sequences look at, rows that the host fills, and the tables.
    int64_t numbers = 0, looked = 0, filled = 0, inputs_end = 0;
    // Tables of pages, one for each group of layers: the first, bytes of each, entries of a row. Where pages
    // become small, each is followed by that of the small ones, so many words behind it; and lists of those.
    int64_t tables = 0, table_bytes = 0, table_stride = 0, small_table = 0;
    int64_t shrinks = 0, shrink_bytes = 0;
    // Pages that pass, bytes of each, small ones likewise; and their signs.
    int64_t staged = 0, staged_bytes = 0, staged_small = 0, staged_small_bytes = 0, signs = 0;
  };
  struct Forward;
  struct StagedPage;
  // Where results go: to the host, or to rows of memory of the device.
  struct Results {
    float* host = nullptr;
    const device::Buffer* there = nullptr;
    std::span<const int32_t> places = {};  // of rows there
    std::span<Peak> peaks = {};            // not empty: these alone
    Candidates candidates = {};            // count above 0: these alone
    std::vector<StepTime>* times = nullptr;
  };
  // The rows of an expert: where their lists begin, and how many there are.
  struct Sent {
    int64_t first = 0, rows = 0;
  };

  [[noreturn]] void refuse(const std::string& what) const;
  void prepare(DeviceWeights& weights, const ExpertCacheOptions& cache);
  Launch prepare_launch(const Step& step);
  void prepare_linear(Launch& launch, const Step& step);
  std::optional<Kernel> find_wgmma(const Step& step, const std::string& kernel);
  bool rounds_rows(int64_t rows) const;
  device::Slice round_rows(const Forward& forward, const Step& step, const device::Slice& rows) const;
  Kernel find(const std::string& name) const;
  std::optional<Kernel> find_other(const std::string& name) const;
  const Kernel& choose(const Forward& forward, const Step& step, const Launch& launch) const;
  static device::Grid grid_of(const Kernel& kernel, const std::array<int64_t, 3>& work);
  Layout lay_out(int64_t rows, int64_t sequences) const;
  void lay_out_tables(Layout& at, const CacheRun& cache, const Batch& batch, Range range) const;
  template <typename Word>
  void put_tables(const Forward& forward, const Batch& batch, Range range, int64_t groups,
                  const Word& word) const;
  std::array<int64_t, 3> shrink_work(const Forward& forward, const Step& step) const;
  void describe_pages(const Forward& forward, const Step& step, std::vector<std::byte>& parameters) const;
  void check_cache(const CacheRun* cache) const;
  void check_memory(const Memory* memory) const;
  void put_numbers(const Forward& forward, const Batch& batch, Range range) const;
  void put_filled(const Forward& forward) const;
  void check_host_pages(const KvCache& cache) const;
  void lay_out_staged(Layout& at, const CacheRun& cache, const Batch& batch, Range range) const;
  void run_micro_batch(Context& context, const Batch& batch, Range range, const RunOptions& options,
                       const Results& results);
  void run_all(const Batch& batch, const RunOptions& options, const Results& results);
  void deliver(const Forward& forward, const Results& results) const;
  void find_peaks(const Forward& forward, int64_t count, std::span<Peak> peaks) const;
  void find_candidates(const Forward& forward, int64_t count, const Candidates& wanted) const;
  void move_there(const Forward& forward, int64_t count, const Results& results) const;
  void copy_in(const Forward& forward, const Batch& batch, Range range, const RunOptions& options) const;
  void put_places(const Forward& forward, const Batch& batch, Range range) const;
  void put_order(const Forward& forward, const Batch& batch, Range range) const;
  template <typename Copy>
  void each_staged(const Forward& forward, const Batch& batch, Range range, int64_t layer,
                   const Copy& copy) const;
  void stage(const Forward& forward, const Batch& batch, Range range, int64_t layer) const;
  void bring_back(const Forward& forward, const Batch& batch, Range range, int64_t layer) const;
  void run_passing(const Forward& forward, const Batch& batch, Range range, const RunOptions& options) const;
  void run_steps(const Forward& forward, const RunOptions& options);
  void run_each(const Forward& forward, const RunOptions& options) const;
  LaunchKey launch_key(const Forward& forward, const RunOptions& options) const;
  template <typename Piece>
  void each_piece(const Forward& forward, const RunOptions& options, const Piece& piece) const;
  std::shared_ptr<const RecordedForward> record(const Forward& forward, const RunOptions& options,
                                                const LaunchKey& key);
  void check_recorded(const Forward& forward, const RunOptions& options,
                      const RecordedForward& recorded) const;
  void run_measured(const Forward& forward, const RunOptions& options,
                    std::vector<device::Event>& marks) const;
  void run_step(const Forward& forward, size_t i, const RunOptions& options) const;
  size_t span_of(size_t step) const;
  std::vector<Sent> read_route(const Forward& forward, const Routed& routed) const;
  void run_experts(const Forward& forward, size_t step) const;
  void run_here(const Forward& forward, size_t step) const;
  class SingleExperts;
  std::unique_ptr<ExpertsElsewhere> single_experts(const Forward& forward, size_t step) const;
  int64_t add_part(std::vector<Part>& parts, const Constant& constant) const;
  template <typename Copy>
  void each_part(const Forward& forward, int buffer, const Slot& slot, const Copy& copy) const;
  std::array<int64_t, 3> work_of(const Forward& forward, const Step& step) const;
  void launch(const Forward& forward, const Step& step, const Launch& launch, bool normalise) const;
  device::Slice page_slice(const Forward& forward, const Place& place) const;
  device::Slice slice(const Forward& forward, const Place& place, const device::Slice& constant) const;
  std::unique_ptr<Context> borrow();
  void give_back(std::unique_ptr<Context> context);

  const Plan& plan_;
  Lowering lowering_;
  const std::shared_ptr<DeviceWeights> weights_;
  const std::shared_ptr<device::CachingAllocator> memory_;
  const std::shared_ptr<device::Device> device_;
  ThreadPool* const threads_;  // or null
  const bool may_mix_, may_wgmma_;
  bool is_mixed_ = false;
  std::unique_ptr<PassingWeights> passing_;  // or null
  std::vector<Launch> launches_;             // by step
  std::optional<Kernel> round_;              // of rows for products by warpgroups
  int64_t rounded_columns_ = 0;              // the widest of such rows; 0: there are none
  std::map<std::string, std::string> left_out_;
  std::map<size_t, int64_t> single_layers_;  // by the step that the CPU runs
  std::unique_ptr<ExpertCache> cache_;       // or null
  std::map<int, int64_t> filled_;            // by buffer that the host fills: bytes of a row before its own
  int64_t filled_bytes_ = 0;                 // of a row
  const bool checks_graphs_;
  std::unique_ptr<LaunchGraphs> graphs_;  // or null
  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> free_;
};

}  // namespace arrowmind::runtime
