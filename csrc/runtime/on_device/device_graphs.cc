// A forward whose launches were told to the device before: what they depend on, and how they are recorded.

#include "base/error.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {
namespace {

// The host reads what was computed before such a step, or computes it.
bool waits(const Step& step) {
  return step.here != nullptr || step.routed.experts > 0;
}

}  // namespace

// Positions, tables and rows change from forward to forward; they lie in the device's memory. What is left
// are numbers of rows and places: a forward with the same ones has the same launches.
LaunchKey DevicePlan::launch_key(const Forward& f, const RunOptions& options) const {
  LaunchKey key = {static_cast<uint64_t>(f.rows),        static_cast<uint64_t>(f.sequences),
                   static_cast<uint64_t>(f.at.bytes),    f.memory.handle(),
                   options.normalise ? uint64_t{1} : 0u, f.cache != nullptr ? uint64_t{1} : 0u};
  if (f.looked != nullptr) {
    key.insert(key.end(), {f.looked->there->handle(), static_cast<uint64_t>(f.looked->columns)});
  }
  if (f.cache == nullptr) return key;
  const auto number = [](int64_t value) { return static_cast<uint64_t>(value); };
  key.insert(key.end(), {number(f.at.table_stride), number(f.at.table_bytes), number(f.at.shrink_bytes)});
  for (const int64_t pages : f.context.to_shrink) key.push_back(number(pages));
  f.cache->cache->on_device()->identify(key);
  return key;
}

void DevicePlan::run_steps(const Forward& f, const RunOptions& options) {
  std::shared_ptr<const RecordedForward>& recorded = f.context.recorded;
  if (graphs_ != nullptr) {
    const LaunchKey key = launch_key(f, options);
    recorded = graphs_->find(key);
    if (recorded == nullptr && graphs_->is_due(key)) recorded = record(f, options, key);
  }
  if (recorded == nullptr) return run_each(f, options);
  if (checks_graphs_) check_recorded(f, options, *recorded);
  for (const RecordedForward::Piece& piece : recorded->pieces) {
    if (piece.graph) f.context.stream.run(*piece.graph);
    if (piece.step) run_step(f, *piece.step, options);
  }
  graphs_->ran(*recorded);
}

// piece(launches, the step behind them or none) for each piece of a forward.
template <typename Piece>
void DevicePlan::each_piece(const Forward& f, const RunOptions& options, const Piece& piece) const {
  Forward part = f;
  std::optional<device::LaunchList> list(device_);
  for (size_t i = 0; i < launches_.size(); i += span_of(i)) {
    const Step& step = lowering_.steps()[i];
    if (!f.has(step)) continue;
    if (waits(step)) {
      piece(*std::move(list), std::optional<size_t>(i));
      list.emplace(device_);
      continue;
    }
    part.list = &*list;
    run_step(part, i, options);
  }
  piece(*std::move(list), std::optional<size_t>());
}

// Null where the device makes no graphs, or none now: the forward is launched as ever.
std::shared_ptr<const RecordedForward> DevicePlan::record(const Forward& f, const RunOptions& options,
                                                          const LaunchKey& key) {
  const auto made = std::make_shared<RecordedForward>();
  try {
    each_piece(f, options, [&](device::LaunchList&& list, std::optional<size_t> step) {
      RecordedForward::Piece& piece = made->pieces.emplace_back();
      piece.step = step;
      if (list.size() > 0) piece.graph = device_->graph(list);
      if (checks_graphs_) piece.checked = std::move(list);
    });
  } catch (const device::DeviceFailure& failure) {
    if (failure.failure() == device::Failure::kLost) throw;
    graphs_->failed(failure.failure() == device::Failure::kNotSupported);
    return nullptr;
  }
  graphs_->keep(key, made);
  return made;
}

void DevicePlan::check_recorded(const Forward& f, const RunOptions& options,
                                const RecordedForward& recorded) const {
  size_t next = 0;
  each_piece(f, options, [&](device::LaunchList&& list, std::optional<size_t> step) {
    const RecordedForward::Piece* piece = next < recorded.pieces.size() ? &recorded.pieces[next] : nullptr;
    if (piece == nullptr || piece->step != step || !(piece->checked == list)) {
      fail(ErrorKind::kKernel, "[", device_->name(), "] a graph has other launches than its forward of ",
           f.rows, " rows, in piece ", next, "; use device.graphs=off, and report it");
    }
    ++next;
  });
}

}  // namespace arrowmind::runtime
