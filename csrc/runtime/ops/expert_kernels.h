#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "kernels/qmatmul/qmatmul.h"
#include "runtime/experts.h"
#include "runtime/ops/linear.h"

namespace arrowmind::runtime {

// The kernels of all matrices that meet one form of rows, by what the matrices are.
class ExpertKernels {
 public:
  void add(const ExpertMatrix& matrix, BufferType rows) {
    const auto [place, is_new] = choices_.try_emplace(key(matrix));
    if (!is_new) return;
    Choice& choice = place->second;
    for (int64_t m = 1; m < kChoices; ++m) {
      choice[static_cast<size_t>(m)] = &select_linear(matrix.weights, rows, m, matrix.bound);
    }
  }
  const qmatmul::Row& of(const ExpertMatrix& matrix, int64_t m) const {
    return *choices_.at(key(matrix))[static_cast<size_t>(std::min(m, kChoices - 1))];
  }
  void name(std::vector<std::string>& names) const {
    for (const auto& [unused, choice] : choices_) {
      for (size_t m = 1; m < choice.size(); ++m) names.emplace_back(choice[m]->row.name);
    }
  }

 private:
  // Chosen for each number of rows up to this one when the plan is built; more choose the same.
  static constexpr int64_t kChoices = 65;
  using Choice = std::array<const qmatmul::Row*, kChoices>;
  static int key(const ExpertMatrix& matrix) {
    return 4 * static_cast<int>(matrix.weights.type) + static_cast<int>(matrix.bound);
  }
  std::map<int, Choice> choices_;
};

}  // namespace arrowmind::runtime
