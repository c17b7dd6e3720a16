#include "runtime/on_device/device_plan.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/checked.h"
#include "base/error.h"
#include "residency/lease.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kMostGroups = 65535;  // as kMostRows, of rows that are met several times

int64_t most_place_bytes(const device::DeviceInfo& info) {
  return info.most_place_bytes == 0 ? Lowering::kMostPlaceBytes
                                    : std::min(info.most_place_bytes, Lowering::kMostPlaceBytes);
}

constexpr std::string_view kFloatRows = "linear_f32_";

bool is_linear(const std::string& kernel) {
  return kernel.starts_with("linear_");
}

bool shares_keys(const std::string& kernel) {
  return kernel == "attention" || kernel == "cached_attention";
}

template <typename Body>
class Finally {
 public:
  explicit Finally(Body body) : body_(std::move(body)) {}
  ~Finally() { body_(); }
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;

 private:
  Body body_;
};

}  // namespace

DevicePlan::DevicePlan(const Plan& plan, std::shared_ptr<DeviceWeights> weights,
                       std::shared_ptr<device::CachingAllocator> memory, const PlacingOptions& options)
    : plan_(plan),
      lowering_(plan, options.experts_here, options.cache.room_bytes > 0,
                most_place_bytes(weights->device()->info())),
      weights_(std::move(weights)),
      memory_(std::move(memory)),
      device_(weights_->device()),
      threads_(options.threads),
      may_mix_(options.mixed),
      may_wgmma_(options.wgmma),
      checks_graphs_(options.graphs == Graphs::kCheck) {
  if (!plan.is_finished()) fail(ErrorKind::kInvalidArgument, "the plan is not finished; call finish() first");
  for (const std::unique_ptr<Op>& op : plan.ops()) {
    if (op->lower(lowering_)) continue;
    const std::vector<std::string> kernels = op->kernels();
    refuse(cat("the model has an operator that devices have no kernel for",
               kernels.empty() ? "" : cat(" (", kernels.front(), " on the CPU)")));
  }
  for (const Step& step : lowering_.steps()) {
    if (!step.fill) continue;
    if (!filled_.emplace(step.places[0].id, filled_bytes_).second) {
      fail(ErrorKind::kInvalidArgument, "a buffer is filled by the host twice");
    }
    filled_bytes_ += 4 * plan.columns(step.places[0].id);
  }
  if (options.passes) passing_ = std::make_unique<PassingWeights>(device_, lowering_);
  prepare(*weights_, options.cache);
  if (options.graphs != Graphs::kOff && !passes() && device_->has_graphs()) {
    graphs_ = std::make_unique<LaunchGraphs>();
  }
}

void DevicePlan::refuse(const std::string& what) const {
  throw device::DeviceFailure(device::Failure::kNotSupported,
                              cat("[", device_->name(), "] ", what, "; run it with device='cpu'"));
}

DevicePlan::Kernel DevicePlan::find(const std::string& name) const {
  const uint64_t number = device_->kernel(name);
  return {number, device_->kernel_shape(number, name), name};
}

void DevicePlan::prepare(DeviceWeights& weights, const ExpertCacheOptions& cache) {
  residency::Lease lease;
  const Finally copies_end([&] { weights.stop(); });  // before what they read may go
  size_t blocks = 0, singles = 0;                     // steps before the latter are those of single experts
  std::vector<ExpertCache::Layer> layers;
  for (size_t i = 0; i < lowering_.steps().size(); ++i) {
    const Step& step = lowering_.steps()[i];
    if (step.is_border) ++blocks;
    if (step.residency != nullptr && !passes()) {
      weights.finish();  // what is held may go
      step.residency->retire(step.blocks);
      lease.change(step.residency, step.blocks);
    }
    Launch launch = prepare_launch(step);
    for (const Place& place : step.places) {
      launch.constants.emplace_back();
      if (place.kind != Place::Kind::kConstant) continue;
      const Constant& constant = lowering_.constants()[static_cast<size_t>(place.id)];
      device::Slice& slice = launch.constants.back();
      if (i < singles) {
        const Routed& routed = lowering_.steps()[single_layers_.rbegin()->first].routed;
        const size_t expert = (i - single_layers_.rbegin()->first - 1) / static_cast<size_t>(routed.each);
        slice.offset = add_part(layers.back().experts[expert], constant);
      } else {
        slice = passes() && blocks > 0 ? passing_->slice(blocks - 1, constant) : weights.put(constant);
      }
    }
    launches_.push_back(std::move(launch));
    if (step.here == nullptr || step.routed.experts == 0) continue;
    single_layers_[i] = static_cast<int64_t>(layers.size());
    layers.push_back(
        {std::vector<std::vector<Part>>(static_cast<size_t>(step.routed.experts)), step.routed.source});
    singles = i + span_of(i);
  }
  weights.finish();
  if (!layers.empty()) cache_ = std::make_unique<ExpertCache>(device_, std::move(layers), cache);
}

DevicePlan::Launch DevicePlan::prepare_launch(const Step& step) {
  Launch launch;
  if (step.kernel.empty()) return launch;
  launch.kernel = find(step.kernel);
  launch.few = launch.kernel;
  if (is_linear(step.kernel)) prepare_linear(launch, step);
  if (shares_keys(step.kernel)) launch.wide = find_other(step.kernel + "_rows");
  return launch;
}

// Kernels that some back ends have beside the one that all have.
void DevicePlan::prepare_linear(Launch& launch, const Step& step) {
  if (const auto few = find_other(launch.kernel.name + "_few")) launch.few = *few;
  if (!may_mix_ || !launch.kernel.name.starts_with(kFloatRows)) return;
  const std::string mixed = cat("linear_bf16_", launch.kernel.name.substr(kFloatRows.size()));
  if (const auto kernel = find_other(mixed)) {
    launch.kernel = *kernel;
    launch.wide = find_other(mixed + "_wide");
    if (launch.wide && may_wgmma_) launch.wgmma = find_wgmma(step, mixed);
    is_mixed_ = true;
  }
}

std::optional<DevicePlan::Kernel> DevicePlan::find_other(const std::string& name) const {
  try {
    return find(name);
  } catch (const device::DeviceFailure& failure) {
    if (failure.failure() != device::Failure::kNotSupported) throw;
    return std::nullopt;
  }
}

void DevicePlan::check_cache(const CacheRun* cache) const {
  if (cache == nullptr) return;
  if (passes()) {
    check_host_pages(*cache->cache);
  } else if (const DevicePages* pages = cache->cache->on_device();
             pages == nullptr || pages->device() != device_) {
    refuse("the pages of the cache are not on this device");
  }
  for (const Step& step : lowering_.steps()) {
    if (step.when == When::kAlways && step.kernel == "attention") {
      fail(ErrorKind::kInvalidArgument, "a forward over a cache meets attention that is no layer of one");
    }
  }
}

void DevicePlan::check_memory(const Memory* memory) const {
  for (const Step& step : lowering_.steps()) {
    if (step.looked_columns == 0) continue;
    if (memory == nullptr || memory->there == nullptr || memory->there->device() != device_) {
      fail(ErrorKind::kInvalidArgument, "cross attention: this forward was given nothing on ",
           device_->name(), " to look at");
    }
    if (memory->columns < step.looked_columns) {
      fail(ErrorKind::kInvalidArgument, "cross attention: rows of ", memory->columns, " columns; ",
           step.looked_columns, " are needed");
    }
  }
}

namespace {

Candidates behind(Candidates all, int64_t rows) {
  all.first += rows;
  all.temperatures = all.temperatures.subspan(static_cast<size_t>(rows * all.sums));
  all.words = all.words.subspan(static_cast<size_t>(rows * (2 * all.count + all.sums)));
  return all;
}

}  // namespace

void DevicePlan::run(const Batch& batch, const RunOptions& options, float* output,
                     std::vector<StepTime>* times) {
  run_all(batch, options, {.host = output, .times = times});
}

void DevicePlan::run_all(const Batch& batch, const RunOptions& options, const Results& results) try {
  if ((plan_.source() >= 0) != (options.rows != nullptr)) {
    fail(ErrorKind::kInvalidArgument, "this plan reads ",
         plan_.source() >= 0 ? "rows, not token ids" : "token ids");
  }
  check_memory(options.memory);
  check_cache(options.cache);
  const std::unique_lock turn = passes() ? passing_->turn() : std::unique_lock<std::mutex>();
  std::unique_ptr<Context> context = borrow();
  int64_t most = kMostRows;
  for (const Step& step : lowering_.steps()) {
    most = std::min(most, kMostGroups / std::max<int64_t>(step.grouped.top, 1));
  }
  for (const Range& range : split(batch, std::clamp<int64_t>(options.micro_tokens, 1, most))) {
    const int64_t first = plan_.gives_tokens() ? batch.offsets[range.begin] : range.begin;
    Results part = results;
    if (!results.peaks.empty()) {
      part.peaks = results.peaks.subspan(static_cast<size_t>(first));
    } else if (results.candidates.count > 0) {
      part.candidates = behind(results.candidates, first);
    } else if (results.there != nullptr) {
      part.places = results.places.subspan(static_cast<size_t>(first));
    } else {
      part.host += first * plan_.limits().output_columns;
    }
    run_micro_batch(*context, batch, range, options, part);
  }
  give_back(std::move(context));
} catch (const device::DeviceFailure&) {
  drop_graphs();  // whatever failed, the next forward begins without them
  throw;
}

void DevicePlan::run_micro_batch(Context& context, const Batch& batch, Range range, const RunOptions& options,
                                 const Results& results) {
  const int64_t rows = batch.offsets[range.end] - batch.offsets[range.begin];
  const int64_t sequences = range.end - range.begin;
  Layout at = lay_out(rows, sequences);
  if (options.cache != nullptr && passes()) {
    lay_out_staged(at, *options.cache, batch, range);
  } else if (options.cache != nullptr) {
    lay_out_tables(at, *options.cache, batch, range);
  }
  const device::CachingAllocator::Block memory = memory_->allocate(at.bytes, context.stream);
  const Forward forward{context, memory.buffer(), at, rows, sequences, options.cache, options.memory};
  copy_in(forward, batch, range, options);
  std::vector<device::Event> marks;
  std::vector<StepTime>* times = results.times;
  if (passes()) {
    run_passing(forward, batch, range, options);
  } else if (times == nullptr) {
    run_steps(forward, options);
  } else {
    run_measured(forward, options, marks);
  }
  deliver(forward, results);
  context.recorded.reset();
  if (passes()) return;  // measured as a whole alone
  for (size_t i = 0, mark = 0; times != nullptr && i < launches_.size(); i += span_of(i)) {
    const Step& step = lowering_.steps()[i];
    if (!forward.has(step)) continue;
    const int64_t took = marks[mark].nanoseconds_until(marks[mark + 1]);
    times->push_back({step.routed.experts > 0 ? "experts" : choose(forward, step, launches_[i]).name, took});
    ++mark;
  }
}

std::vector<std::string> DevicePlan::kernels() const {
  std::vector<std::string> names;
  for (const Launch& launch : launches_) {
    const std::string& name = launch.kernel.name;
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::unique_ptr<DevicePlan::Context> DevicePlan::borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Context> context = std::move(free_.back());
      free_.pop_back();
      return context;
    }
  }
  return std::make_unique<Context>(device_->stream());
}

void DevicePlan::give_back(std::unique_ptr<Context> context) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(context));
}

}  // namespace arrowmind::runtime
