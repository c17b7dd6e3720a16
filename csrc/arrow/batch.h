#pragma once

#include <cstdint>
#include <vector>

#include "arrow/column.h"
#include "arrow/flatbuffer.h"
#include "arrow/schema.h"

namespace arrowmind::arrow {

// The columns of a RecordBatch message whose body is `body`, each range checked to lie inside the body and to
// be large enough for its values.
std::vector<Column> parse_columns(const flatbuffer::Table& batch, const Schema& schema, FileRange body);

// Rows of a RecordBatch message, checked to be at least 0.
int64_t parse_length(const flatbuffer::Table& batch);

}  // namespace arrowmind::arrow
