#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrow/file.h"
#include "arrow/hash_tree.h"
#include "weights/weight_table.h"

namespace arrowmind::weights {

// Offset and size of what a model keeps in memory within any budget, as it is wanted: all that is no code,
// which is compared with the tree before experts are described; behind it codes in file order: of a model
// with experts all but theirs, of another those of tables and of a head. Names decide, so this is for advice
// alone.
std::vector<std::pair<int64_t, int64_t>> staying_ranges(const WeightTable& table);

// A weight file that is read and hashed by a thread of its own while others prepare what they need it for.
// Who opens it takes the file and its tree from here, and need not hash again what was hashed.
class EarlyWeights {
 public:
  struct Opened {
    std::shared_ptr<const arrow::ArrowFile> file;
    std::shared_ptr<const arrow::HashTree> tree;  // null for a file without, and where nothing is hashed
  };

  // Does nothing yet. `hashed`: chunks are compared with the hash tree; damage is for others to tell.
  EarlyWeights(std::string path, bool hashed);

  // Reads; called once, by any thread. Returns what was read, in that order; of a reading that was ended,
  // what would have been. Throws Error for what is no sound weight file.
  std::vector<std::pair<int64_t, int64_t>> read();
  // Has read() return as soon as the piece that it is at is done.
  void end() { is_ended_ = true; }
  // The file, as soon as read() has opened it; nothing where it could not: opening it again says why.
  std::optional<Opened> opened() const;

 private:
  void tell(std::optional<Opened> opened);

  std::string path_;
  bool hashed_;
  mutable std::mutex mutex_;
  mutable std::condition_variable told_;
  bool is_told_ = false;
  std::atomic<bool> is_ended_ = false;
  std::optional<Opened> opened_;
};

}  // namespace arrowmind::weights
