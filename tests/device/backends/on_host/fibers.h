#pragma once

// Threads of a group of a kernel as fibers of one thread of the host: kernels written for a device run here
// as they are, with barriers, exchanges within a team (a warp, a simdgroup) and memory of the group. Which
// fiber goes on when all could is one fixed order, forward or backward: a kernel that gives other results
// backward has a race. Nothing here knows of a kind of device.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace arrowmind::fibers {

constexpr uint32_t kMostFibers = 1024;
constexpr size_t kOutboxBytes = 64;

struct Place {
  uint32_t group[3];  // number of the group in each direction
  uint32_t fiber;     // number of the fiber in its group
  uint32_t fibers;    // of a group
};

// Where the running fiber stands.
const Place& place();

// Runs body(argument) once for each fiber of each group, the groups one after the other. Ends the process,
// with words, where fibers wait for ones that do not come.
void run(const uint32_t (&groups)[3], uint32_t fibers, bool backward, void (*body)(void*), void* argument);

// Until every fiber of the group that still runs has come here.
void wait_group();
// Until all of a team have; teams are `size` fibers one after the other, and of one size at a time.
void wait_team(uint32_t size);
// The same for teams of teams: four of 32 fibers, who may be waiting for these elsewhere.
void wait_warpgroup();

// Memory of the group for `key`, filled with 0xff when the first fiber asks for it: as floats, NaN.
void* shared(const void* key, size_t bytes, size_t alignment = 64);
// Where something lies in memory of the group: bytes from its beginning, which is at a multiple of
// everything.
constexpr size_t kSharedBytes = 256 << 10;
uint32_t shared_offset(const void* address);
const char* shared_at(uint32_t offset);

// Groups that were begun by this thread of the host.
uint64_t groups_begun();
// Called whenever a group has ended.
void when_groups_end(void (*ended)());

// What a fiber shows its team: written, then read by the others after wait_team(). Two take turns, so that
// who is ahead does not overwrite what others still read.
void* own_outbox();
const void* outbox_of(uint32_t fiber);  // of the group
void turn_outbox();

// The value that another fiber of the team holds.
template <class T>
T exchange(T mine, uint32_t team, uint32_t from) {
  static_assert(sizeof(T) <= kOutboxBytes);
  std::memcpy(own_outbox(), &mine, sizeof mine);
  wait_team(team);
  T found;
  std::memcpy(&found, outbox_of(place().fiber / team * team + from % team), sizeof found);
  turn_outbox();
  return found;
}

}  // namespace arrowmind::fibers
