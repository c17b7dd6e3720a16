#include "report.h"

#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>

namespace arrowmind::isa_test {
namespace {

std::string_view current_name;

void say(std::string_view text) {
  // The process is about to end with a failure whether or not this can be written.
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) return;
}

extern "C" void on_signal(int signal) {
  say("FAIL ");
  say(current_name);
  say(signal == SIGILL ? ": used an instruction this processor lacks\n"
                       : ": used memory beyond its operands\n");
  _exit(2);
}

// Equal in every bit, but for which NaN it is.
bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}
bool same(int32_t a, int32_t b) {
  return a == b;
}

uint32_t bits(float x) {
  return std::bit_cast<uint32_t>(x);
}
uint32_t bits(int32_t x) {
  return static_cast<uint32_t>(x);
}

template <typename T>
std::string difference(const std::vector<T>& expected, const std::vector<T>& got, const char* what) {
  if (expected.size() != got.size()) return cat(what, ": ", got.size(), " for ", expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (same(expected[i], got[i])) continue;
    char text[160];
    std::snprintf(text, sizeof(text), "%s[%zu] is %08x (%g), of the scalar row %08x (%g)", what, i,
                  bits(got[i]), static_cast<double>(got[i]), bits(expected[i]),
                  static_cast<double>(expected[i]));
    return text;
  }
  return "";
}

}  // namespace

void watch_for_signals() {
  for (const int number : {SIGILL, SIGSEGV, SIGBUS}) signal(number, on_signal);
}

void set_current(const KernelRow& row) {
  current_name = row.name;
}

void Report::compare(const KernelRow& row, const std::string& what, const Outcome& expected, Outcome got) {
  ++cases_[row.name];
  if (row.name == damaged_) {
    if (!got.floats.empty()) got.floats.back() = std::bit_cast<float>(bits(got.floats.back()) ^ 1u);
    if (!got.codes.empty()) got.codes.back() ^= 1;
  }
  std::string found = difference(expected.floats, got.floats, "float");
  if (found.empty()) found = difference(expected.codes, got.codes, "code");
  if (found.empty()) return;
  constexpr int kShown = 3;
  if (++failed_[row.name] <= kShown) fail(row.name, what + ": " + found);
}

void Report::fail(std::string_view name, const std::string& message) {
  ++failures_;
  std::printf("FAIL %.*s: %s\n", static_cast<int>(name.size()), name.data(), message.c_str());
}

void Report::digest(const KernelRow& row, const Outcome& outcome) {
  uint64_t& hash = digests_.try_emplace(row.name, 0xcbf29ce484222325ull).first->second;
  const auto add = [&](uint32_t word) { hash = (hash ^ word) * 0x100000001b3ull; };  // FNV-1a, by words
  for (const float x : outcome.floats) add(std::isnan(x) ? 0x7fc00000u : bits(x));
  for (const int32_t x : outcome.codes) add(bits(x));
}

void Report::close_op(const std::vector<KernelRow>& rows) {
  for (const KernelRow& row : rows) {
    const int64_t cases = cases_[row.name];
    const int size = static_cast<int>(row.name.size());
    if (!isa_enabled(row.isa)) {
      ++skipped_;
      std::printf("skip %.*s: needs %s\n", size, row.name.data(), std::string(isa_name(row.isa)).c_str());
    } else if (cases == 0) {
      fail(row.name, "no case fits this row");
    } else {
      ++ran_;
      isas_.insert(isa_name(row.isa));
      if (failed_[row.name] == 0) {
        std::printf("ok %.*s %lld cases\n", size, row.name.data(), static_cast<long long>(cases));
        const auto digest = digests_.find(row.name);
        if (digest != digests_.end()) {
          std::printf("bits %.*s %016llx\n", size, row.name.data(),
                      static_cast<unsigned long long>(digest->second));
        }
      } else {
        std::printf("FAIL %.*s: %lld of %lld cases differ\n", size, row.name.data(),
                    static_cast<long long>(failed_[row.name]), static_cast<long long>(cases));
      }
    }
  }
  std::fflush(stdout);
}

}  // namespace arrowmind::isa_test
