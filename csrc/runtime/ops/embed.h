#pragma once

#include <memory>
#include <string>

#include "arrow/hash_tree.h"
#include "kernels/embed/embed.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// Rows of a mapped table are compared with the hashes of the file when a forward first reads them.
struct RowGuard {
  std::shared_ptr<const arrow::HashTree> tree;  // null: nothing to compare with
  std::string name;                             // of the tensor, for messages
  int64_t row_bytes = 0;
};

struct EmbedTables {
  embed::Table word;        // at least Limits::vocabulary rows
  embed::Table position;    // at least Limits::max_length rows; no data: nothing is added
  embed::Table token_type;  // row 0 is added to every token; no data: nothing is added
  RowGuard word_guard, position_guard, token_type_guard;
};

// output[t] = word[token] + position[place in its sequence] + token_type[0].
void add_embed(Plan& plan, const EmbedTables& tables, int output);

}  // namespace arrowmind::runtime
