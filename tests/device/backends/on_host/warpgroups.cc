#include "on_host/warpgroups.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace arrowmind::on_host {
namespace {

constexpr uint32_t kThreads = 128, kColumns = 128, kDepth = 16, kSums = 64, kPiece = 16;
// What stands in sums while products run: a NaN that nobody computes.
constexpr uint32_t kPoison = 0x7fedcba9u;

[[noreturn]] void stop(const char* words) {
  std::fprintf(stderr, "warpgroups: %s (thread %u)\n", words, fibers::place().fiber);
  std::abort();
}

struct Copy {
  void* to;
  const void* from;
};

// What a warpgroup multiplies: rows as its threads held them, columns as they lay in memory of the group.
struct Operands {
  uint64_t descriptor = 0;
  uint32_t rows[kThreads][4] = {};
  uint16_t columns[kColumns][kDepth] = {};
  uint32_t left = kThreads;  // threads that did not wait for it yet
};

struct Product {
  float* d;
  const uint32_t* a;
  std::shared_ptr<Operands> of;
};

// Sums that products add to: what they will be, and how many of them are under way.
struct Flight {
  std::array<float, kSums> values = {};
  uint32_t products = 0;
};

struct Thread {
  std::vector<Copy> asked;
  std::deque<std::vector<Copy>> copies;
  std::vector<uint32_t> unseen;  // offsets of pieces that products do not see yet
  bool has_begun = false;
  std::vector<Product> told;
  std::deque<std::vector<Product>> products;
  std::map<float*, Flight> flights;
  uint64_t count = 0;  // of its products

  bool is_done() const {
    return asked.empty() && copies.empty() && told.empty() && products.empty() && flights.empty();
  }
};

struct Group {
  uint64_t number = 0;
  std::vector<Thread> threads{fibers::kMostFibers};
  std::vector<char> seen = std::vector<char>(fibers::kSharedBytes);  // memory as products see it
  std::map<std::pair<uint32_t, uint64_t>, std::shared_ptr<Operands>> under_way;
};

thread_local std::unique_ptr<Group> group;
std::atomic<bool> is_wrong = false;

void group_ended() {
  if (group == nullptr || group->number != fibers::groups_begun()) return;
  for (const Thread& thread : group->threads) {
    if (!thread.is_done()) stop("a group ended while copies or products were under way");
  }
}

Thread& own() {
  if (group == nullptr) {
    group = std::make_unique<Group>();
    fibers::when_groups_end(group_ended);
  }
  if (group->number != fibers::groups_begun()) {
    group->number = fibers::groups_begun();
    for (Thread& thread : group->threads) thread = {};
    std::memset(group->seen.data(), 0xff, group->seen.size());
    group->under_way.clear();
  }
  return group->threads[fibers::place().fiber];
}

void check_poison(const float* d) {
  for (uint32_t i = 0; i < kSums; ++i) {
    if (std::bit_cast<uint32_t>(d[i]) != kPoison) stop("sums were written while products ran");
  }
}

uint16_t element(const char* memory, uint32_t address) {
  uint16_t value = 0;
  if (address + sizeof value > fibers::kSharedBytes) stop("a descriptor leaves memory of the group");
  std::memcpy(&value, memory + address, sizeof value);
  return value;
}

float bfloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

// Row `row` (below 16) and k of what a warp holds, as lanes have a of matrices.h.
float row_element(const Operands& of, uint32_t warp, uint32_t row, uint32_t k) {
  const uint32_t half = is_wrong.load() ? 1 - k / 8 : k / 8;
  const uint32_t lane = row % 8 * 4 + k % 8 / 2, word = half * 2 + row / 8;
  return bfloat(static_cast<uint16_t>(of.rows[32 * warp + lane][word] >> 16 * (k % 2)));
}

void add(Flight& flight, const Operands& of) {
  const uint32_t own = fibers::place().fiber % kThreads, warp = own / 32, g = own % 32 / 4, t = own % 4;
  for (uint32_t row = 0; row < 2; ++row) {
    float rows[kDepth];
    for (uint32_t k = 0; k < kDepth; ++k) rows[k] = row_element(of, warp, g + 8 * row, k);
    for (uint32_t column = 0; column < kColumns / 4; ++column) {
      const uint32_t j = column / 2, i = column % 2;
      float& sum = flight.values[4 * j + 2 * row + i];
      for (uint32_t k = 0; k < kDepth; ++k) sum = rows[k] * bfloat(of.columns[8 * j + 2 * t + i][k]) + sum;
    }
  }
}

// Nobody knows when a product reads its columns: they are the same when it begins and when all have waited.
void check_columns(const Operands& of) {
  const Columns columns(of.descriptor);
  for (uint32_t column = 0; column < kColumns; ++column) {
    for (uint32_t k = 0; k < kDepth; ++k) {
      const uint32_t address = columns.address(column, k);
      const uint16_t held = of.columns[column][k];
      if (element(group->seen.data(), address) != held || element(fibers::shared_at(0), address) != held) {
        stop("memory of the group changed while products read it");
      }
    }
  }
}

void finish(Thread& thread, const Product& product) {
  const uint32_t own = fibers::place().fiber % kThreads;
  if (std::memcmp(product.a, product.of->rows[own], sizeof product.of->rows[own]) != 0) {
    stop("rows changed while products read them");
  }
  Flight& flight = thread.flights.at(product.d);
  add(flight, *product.of);
  if (--product.of->left == 0) check_columns(*product.of);
  if (--flight.products > 0) return;
  check_poison(product.d);
  std::memcpy(product.d, flight.values.data(), sizeof flight.values);
  thread.flights.erase(product.d);
}

// The first thread of a warpgroup that comes to a product reads its columns.
std::shared_ptr<Operands> operands(Thread& thread, const uint32_t* a, uint64_t descriptor) {
  const std::pair<uint32_t, uint64_t> key = {fibers::place().fiber / kThreads, thread.count++};
  std::shared_ptr<Operands>& of = group->under_way[key];
  if (of == nullptr) {
    of = std::make_shared<Operands>();
    of->descriptor = descriptor;
    const Columns columns(descriptor);
    for (uint32_t column = 0; column < kColumns; ++column) {
      for (uint32_t k = 0; k < kDepth; ++k) {
        const uint32_t address = columns.address(column, k);
        of->columns[column][k] = element(group->seen.data(), address);
        if (element(fibers::shared_at(0), address) != of->columns[column][k]) {
          stop("a product reads what it was not shown");
        }
      }
    }
  }
  if (of->descriptor != descriptor) stop("threads of a warpgroup have different descriptors");
  std::memcpy(of->rows[fibers::place().fiber % kThreads], a, sizeof of->rows[0]);
  const std::shared_ptr<Operands> found = of;
  fibers::wait_warpgroup();
  group->under_way.erase(key);
  return found;
}

}  // namespace

Columns::Columns(uint64_t descriptor) {
  constexpr uint32_t kWidths[] = {0, 128, 64, 32};
  const auto bytes = [&](int bit) { return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4; };
  start = bytes(0);
  leading = bytes(16);
  stride = bytes(32);
  width = kWidths[descriptor >> 62];
  constexpr uint64_t kUnused =
      uint64_t{3} << 14 | uint64_t{3} << 30 | uint64_t{7} << 46 | uint64_t{1023} << 52;
  if ((descriptor & kUnused) != 0) stop("a descriptor has bits that mean nothing");
  if ((descriptor >> 49 & 7) != 0) stop("patterns that do not begin where they repeat are not known here");
}

uint32_t Columns::address(uint32_t column, uint32_t k) const {
  const uint32_t piece = k / 8, byte = k % 8 * 2, eight = start + column / 8 * stride;
  if (width == 0) return eight + piece * leading + column % 8 * kPiece + byte;
  const uint32_t plain = eight + column % 8 * width + piece * kPiece + byte;
  return plain ^ (plain >> 7 & (width / kPiece - 1)) << 4;
}

void ask_copy(void* to, const void* from) {
  const auto at = reinterpret_cast<uintptr_t>(from);
  if (at % kPiece != 0 || fibers::shared_offset(to) % kPiece != 0)
    stop("a copy is not at multiples of 16 bytes");
  std::memset(to, 0xff, kPiece);
  own().asked.push_back({to, from});
}

void end_copies() {
  Thread& thread = own();
  thread.copies.push_back(std::move(thread.asked));
  thread.asked.clear();
}

void wait_copies(uint32_t most) {
  Thread& thread = own();
  while (thread.copies.size() > most) {
    for (const Copy& copy : thread.copies.front()) {
      std::memcpy(copy.to, copy.from, kPiece);
      thread.unseen.push_back(fibers::shared_offset(copy.to));
    }
    thread.copies.pop_front();
  }
}

void show_to_products() {
  Thread& thread = own();
  for (const uint32_t offset : thread.unseen) {
    std::memcpy(group->seen.data() + offset, fibers::shared_at(offset), kPiece);
  }
  thread.unseen.clear();
}

void begin_products() {
  own().has_begun = true;
}

void multiply_rows(float* d, const uint32_t* a, uint64_t b) {
  Thread& thread = own();
  if (!thread.has_begun) stop("a product that none of begin_products() came before");
  const auto [at, is_new] = thread.flights.try_emplace(d);
  Flight& flight = at->second;
  if (is_new) {
    std::memcpy(flight.values.data(), d, sizeof flight.values);
  } else {
    check_poison(d);
  }
  ++flight.products;
  for (uint32_t i = 0; i < kSums; ++i) d[i] = std::bit_cast<float>(kPoison);
  thread.told.push_back({d, a, operands(thread, a, b)});
}

void end_products() {
  Thread& thread = own();
  thread.has_begun = false;
  thread.products.push_back(std::move(thread.told));
  thread.told.clear();
}

void wait_products(uint32_t most) {
  Thread& thread = own();
  while (thread.products.size() > most) {
    const std::vector<Product> round = std::move(thread.products.front());
    thread.products.pop_front();
    for (const Product& product : round) finish(thread, product);
  }
}

void misread_rows(bool wrong) {
  is_wrong.store(wrong);
}

void take_sums(const float* d) {
  if (own().flights.contains(const_cast<float*>(d))) stop("sums are taken before their products ended");
}

}  // namespace arrowmind::on_host
