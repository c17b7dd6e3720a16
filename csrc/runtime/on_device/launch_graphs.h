#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "device/graph.h"

namespace arrowmind::runtime {

// kCheck: the launches of each forward are put together anew, and compared with those of the graph that is to
// take their place.
enum class Graphs : uint8_t { kAuto, kOff, kCheck };

// All that the launches of a forward depend on beside its plan: numbers of rows, places in memory.
using LaunchKey = std::vector<uint64_t>;

// The launches of a forward, cut where the host has to look at what was computed.
struct RecordedForward {
  struct Piece {
    std::optional<device::Graph> graph;  // none where nothing is launched
    std::optional<size_t> step;          // what follows it and is no launch; only the last has none
    std::optional<device::LaunchList> checked;
  };
  std::vector<Piece> pieces;

  int64_t launches() const;
};

struct GraphCounters {
  int64_t made = 0, runs = 0;           // pieces
  int64_t launches = 0;                 // that runs took the place of
  int64_t held = 0, held_launches = 0;  // pieces now, and their launches
  int64_t failed = 0;                   // forwards that none could be made for
};

// The graphs of a plan, by what decides their launches. One is worth making when its key comes a second time;
// the least recently used make room. Safe from several threads.
class LaunchGraphs {
 public:
  // Null where there are none.
  std::shared_ptr<const RecordedForward> find(const LaunchKey& key);
  // Whether it is worth making them now; the key is remembered.
  bool is_due(const LaunchKey& key);
  void keep(const LaunchKey& key, std::shared_ptr<const RecordedForward> made);
  // They could not be made; `never`: the device has none at all, else it is tried again after a while.
  void failed(bool never);
  void ran(const RecordedForward& forward);
  // Who runs one holds it.
  void drop();
  GraphCounters counters() const;

 private:
  struct Held {
    LaunchKey key;
    std::shared_ptr<const RecordedForward> forward;
  };
  mutable std::mutex mutex_;
  std::list<Held> held_;          // the last used first
  std::deque<LaunchKey> seen_;    // once, the last first
  int64_t rests_ = 0, rest_ = 0;  // forwards until it is tried again; as many after the next failure
  bool is_off_ = false;
  GraphCounters counters_;
};

}  // namespace arrowmind::runtime
