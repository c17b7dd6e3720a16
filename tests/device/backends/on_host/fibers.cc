#include "on_host/fibers.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace arrowmind::fibers {
namespace {

constexpr size_t kStackBytes = 128 << 10;
constexpr uint32_t kWarpgroup = 128;

// A barrier: who waits for it goes on when `round` is another than it was.
struct Barrier {
  uint32_t arrived = 0, round = 0;
};

struct Fiber {
  jmp_buf at;
  ucontext_t first;
  std::unique_ptr<char[]> stack;
  bool is_made = false, is_done = true;
  const Barrier* waits_for = nullptr;
  uint32_t round = 0;
  uint32_t turn = 0;
  alignas(16) char outbox[2][kOutboxBytes];
};

struct Engine {
  std::vector<Fiber> fibers{kMostFibers};
  std::vector<Barrier> teams{kMostFibers};
  std::vector<Barrier> warpgroups{kMostFibers / kWarpgroup};
  Barrier group;
  Place place = {};
  uint32_t running = 0;  // fibers that are not done
  bool backward = false;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  jmp_buf caller;
  std::unique_ptr<char[]> memory{new char[kSharedBytes]};
  size_t used = 0;
  std::vector<std::pair<const void*, size_t>> names;
  uint64_t begun = 0;
  void (*ended)() = nullptr;

  Fiber& own() { return fibers[place.fiber]; }
};

// Asked for at every step: where it is costs no call.
[[gnu::tls_model("initial-exec")]] thread_local Engine* engine = nullptr;

[[noreturn]] void stuck() {
  std::fprintf(stderr, "fibers: %u of %u wait for others that do not come\n", engine->running,
               engine->place.fibers);
  std::abort();
}

void enter();

// Goes to a fiber; the one that calls is on its stack no more, or has saved where it is.
[[noreturn]] void go_to(uint32_t number) {
  engine->place.fiber = number;
  Fiber& fiber = engine->fibers[number];
  if (fiber.is_made) _longjmp(fiber.at, 1);
  fiber.is_made = true;
  fiber.stack.reset(new char[kStackBytes]);
  getcontext(&fiber.first);
  fiber.first.uc_stack.ss_sp = fiber.stack.get();
  fiber.first.uc_stack.ss_size = kStackBytes;
  fiber.first.uc_link = nullptr;
  makecontext(&fiber.first, enter, 0);
  setcontext(&fiber.first);
  std::abort();
}

// The next fiber that can go on, in the order of the engine; the caller is the last to be asked.
[[noreturn]] void go_on() {
  const uint32_t count = engine->place.fibers;
  uint32_t number = engine->place.fiber;
  for (uint32_t i = 0; i < count; ++i) {
    number = engine->backward ? (number + count - 1) % count : (number + 1) % count;
    const Fiber& fiber = engine->fibers[number];
    if (fiber.is_done) continue;
    if (fiber.waits_for == nullptr || fiber.waits_for->round != fiber.round) go_to(number);
  }
  stuck();
}

// A fiber's whole life: one body after the other.
void enter() {
  for (;;) {
    engine->body(engine->argument);
    Fiber& fiber = engine->own();
    fiber.is_done = true;
    --engine->running;
    if (engine->running > 0 && engine->group.arrived == engine->running) {  // all others wait for this one
      engine->group.arrived = 0;
      ++engine->group.round;
    }
    if (_setjmp(fiber.at) != 0) continue;
    if (engine->running == 0) _longjmp(engine->caller, 1);
    go_on();
  }
}

void wait(Barrier* barrier, uint32_t count) {
  if (++barrier->arrived == count) {
    barrier->arrived = 0;
    ++barrier->round;
    return;
  }
  Fiber& fiber = engine->own();
  fiber.waits_for = barrier;
  fiber.round = barrier->round;
  if (_setjmp(fiber.at) == 0) go_on();
  engine->own().waits_for = nullptr;
}

void begin_group(uint32_t fibers) {
  engine->running = fibers;
  engine->group = {};
  engine->used = 0;
  engine->names.clear();
  ++engine->begun;
  for (Barrier& barrier : engine->warpgroups) barrier = {};
  for (uint32_t i = 0; i < fibers; ++i) {
    engine->fibers[i].is_done = false;
    engine->fibers[i].waits_for = nullptr;
    engine->teams[i] = {};
  }
}

// A function of its own: what its caller has in registers is safe from the jump back.
[[gnu::noinline]] void run_group(uint32_t first) {
  if (_setjmp(engine->caller) == 0) go_to(first);
}

}  // namespace

const Place& place() {
  return engine->place;
}

void run(const uint32_t (&groups)[3], uint32_t fibers, bool backward, void (*body)(void*), void* argument) {
  static thread_local std::unique_ptr<Engine> owned;
  if (owned == nullptr) owned.reset(new Engine());
  engine = owned.get();
  engine->backward = backward;
  engine->body = body;
  engine->argument = argument;
  const uint64_t count = uint64_t{groups[0]} * groups[1] * groups[2];
  for (uint64_t i = 0; i < count; ++i) {
    engine->place = {{static_cast<uint32_t>(i % groups[0]), static_cast<uint32_t>(i / groups[0] % groups[1]),
                      static_cast<uint32_t>(i / groups[0] / groups[1])},
                     0,
                     fibers};
    begin_group(fibers);
    run_group(backward ? fibers - 1 : 0);
    if (engine->ended != nullptr) engine->ended();
  }
}

void wait_group() {
  wait(&engine->group, engine->running);
}

void wait_team(uint32_t size) {
  wait(&engine->teams[engine->place.fiber / size], size);
}

void wait_warpgroup() {
  wait(&engine->warpgroups[engine->place.fiber / kWarpgroup], kWarpgroup);
}

void* shared(const void* key, size_t bytes, size_t alignment) {
  for (const auto& [name, offset] : engine->names) {
    if (name == key) return engine->memory.get() + offset;
  }
  const size_t step = std::max<size_t>(alignment, 64), offset = (engine->used + step - 1) / step * step;
  engine->used = (offset + bytes + 63) / 64 * 64;
  if (engine->used > kSharedBytes) {
    std::fprintf(stderr, "fibers: more than %zu bytes of a group's memory\n", kSharedBytes);
    std::abort();
  }
  engine->names.emplace_back(key, offset);
  std::memset(engine->memory.get() + offset, 0xff, bytes);
  return engine->memory.get() + offset;
}

uint32_t shared_offset(const void* address) {
  return static_cast<uint32_t>(static_cast<const char*>(address) - engine->memory.get());
}

const char* shared_at(uint32_t offset) {
  return engine->memory.get() + offset;
}

uint64_t groups_begun() {
  return engine->begun;
}

void when_groups_end(void (*ended)()) {
  engine->ended = ended;
}

void* own_outbox() {
  return engine->own().outbox[engine->own().turn & 1];
}

const void* outbox_of(uint32_t fiber) {
  return engine->fibers[fiber].outbox[engine->own().turn & 1];
}

void turn_outbox() {
  ++engine->own().turn;
}

}  // namespace arrowmind::fibers
