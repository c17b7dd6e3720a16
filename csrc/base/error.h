#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace arrowmind {

// What went wrong, by the branch of the Python error tree (errors.py) that reports it.
enum class ErrorKind {
  kInvalidArgument,
  kConfiguration,
  kDevice,
  kWeight,
  kIntegrity,
  kKernel,
  kCacheFull,
  kBudget
};

// The one exception of the native core. The message names the thing, the value and the remedy.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <typename... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, cat(parts...));
}

}  // namespace arrowmind
