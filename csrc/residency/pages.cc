#include "residency/pages.h"

#include <algorithm>
#include <utility>

#include "arrow/on_demand_file.h"
#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::residency {
namespace {

constexpr int64_t kPage = arrow::OnDemandFile::kPage;

struct Part {
  Pages* pages;
  bool pinned;
};

bool before(const Part& a, const Part& b) {
  return a.pages->begin != b.pages->begin ? a.pages->begin < b.pages->begin : a.pages->end < b.pages->end;
}

// `part` begins inside `last`, which reaches to `end`: the pages of both are pinned, and neither's.
void cut(const Part& last, const Part& part, int64_t end, std::vector<Pages>& pinned,
         const std::string& path) {
  const Pages seam = {part.pages->begin, std::min(part.pages->end, end)};
  if (!part.pinned && !last.pinned && seam.end - seam.begin > kPage) {
    fail(ErrorKind::kInvalidArgument, "two blocks share ", seam.end - seam.begin, " bytes of ", path, " at ",
         seam.begin, "; blocks must not overlap");
  }
  if (!last.pinned && last.pages->end > seam.end) {
    fail(ErrorKind::kInvalidArgument, "a range inside a block of ", path, " at ", seam.begin,
         " is pinned, or a block of its own; pin the block, or cut it there");
  }
  if (!last.pinned && last.pages->end > seam.begin) {
    last.pages->end = seam.begin;
    pinned.push_back(seam);
  }
  part.pages->begin = seam.end;
}

}  // namespace

Pages pages_of(arrow::FileRange range) {
  return {range.offset / kPage * kPage, round_up(range.offset + range.size, kPage)};
}

std::vector<Pages> merged(std::span<const Pages> parts) {
  std::vector<Pages> sorted(parts.begin(), parts.end()), found;
  std::sort(sorted.begin(), sorted.end(), [](const Pages& a, const Pages& b) { return a.begin < b.begin; });
  for (const Pages& part : sorted) {
    if (found.empty() || found.back().end < part.begin) {
      found.push_back(part);
    } else {
      found.back().end = std::max(found.back().end, part.end);
    }
  }
  return found;
}

int64_t bytes_of(std::span<const Pages> parts) {
  int64_t bytes = 0;
  for (const Pages& part : parts) bytes += part.end - part.begin;
  return bytes;
}

void cut_seams(std::span<std::vector<Pages>* const> blocks, std::vector<Pages>& pinned,
               const std::string& path) {
  std::vector<Pages> always = std::exchange(pinned, {});
  std::vector<Part> parts;
  for (Pages& pages : always) parts.push_back({&pages, true});
  for (std::vector<Pages>* block : blocks) {
    for (Pages& pages : *block) parts.push_back({&pages, false});
  }
  std::sort(parts.begin(), parts.end(), before);
  const Part* last = nullptr;  // the one that reaches farthest
  int64_t end = 0;             // how far it did, before it was cut
  for (const Part& part : parts) {
    const int64_t reach = part.pages->end;
    if (last != nullptr && part.pages->begin < end) cut(*last, part, end, pinned, path);
    if (reach > end) {
      end = reach;
      last = &part;
    }
  }
  const auto empty = [](const Pages& pages) { return pages.begin >= pages.end; };
  for (std::vector<Pages>* block : blocks) std::erase_if(*block, empty);
  std::erase_if(always, empty);
  pinned.insert(pinned.end(), always.begin(), always.end());
}

}  // namespace arrowmind::residency
