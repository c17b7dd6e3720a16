#include "interchange/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"

// "GGUF" | u32 version | u64 tensors | u64 entries | entries | tensors | zeros to the alignment | bytes
// entry:  string key | u32 type | value         string: u64 size | characters
// array:  u32 type of items | u64 count | items
// tensor: string name | u32 rank | u64 sizes, fastest first | u32 type | u64 offset in the bytes
namespace arrowmind::interchange {
namespace {

constexpr int64_t kEntryBytesLeast = 8 + 4 + 1;       // an empty key, a type, a byte
constexpr int64_t kTensorBytesLeast = 8 + 4 + 4 + 8;  // an empty name, no sizes
constexpr std::string_view kAlignmentKey = "general.alignment";

}  // namespace

int64_t number_bytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    default:
      return 0;
  }
}

// Reads the head of the file into private memory as far as it is needed, and from there.
class GgufFile::Cursor {
 public:
  explicit Cursor(const arrow::MappedFile& file)
      : file_(file), limit_(std::min(file.size(), int64_t{kHeadLimit})) {}

  [[noreturn]] void damaged(std::string_view why) const {
    fail(ErrorKind::kIntegrity, file_.path(), ": ", why, " (byte ", position_,
         "); the file is damaged or made to mislead: download or copy it again");
  }

  int64_t position() const { return position_; }
  const std::string& path() const { return file_.path(); }

  template <typename T>
  T read(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what), sizeof(T));
    return value;
  }

  // A number of things that take at least `least` bytes each of what is left of the file.
  int64_t count(int64_t least, std::string_view what) {
    const uint64_t declared = read<uint64_t>(what);
    const int64_t most = (limit_ - position_) / least;
    if (declared > static_cast<uint64_t>(most)) {
      damaged(cat("declares ", declared, " ", what, ", there is room for ", most));
    }
    return static_cast<int64_t>(declared);
  }

  const uint8_t* take(int64_t size, std::string_view what) {
    if (size > limit_ - position_) damaged(cat("ends inside its ", what));
    load(position_ + size);
    const uint8_t* bytes = bytes_.data() + position_;
    position_ += size;
    return bytes;
  }

  std::string name(std::string_view what) {
    const int64_t size = count(1, what);
    if (size == 0 || size > kNameLimit) damaged(cat("has a ", what, " of ", size, " bytes"));
    const uint8_t* bytes = take(size, what);
    std::string text(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    if (!arrow::is_utf8(text)) damaged(cat("has a ", what, " that is not UTF-8"));
    return text;
  }

  GgufValue value() {
    const auto type = read<GgufType>("metadata");
    if (type == GgufType::kArray) return array(1);
    GgufValue value;
    value.type = type;
    items(&value);
    return value;
  }

 private:
  static constexpr int64_t kPieceBytes = 1 << 20;

  void load(int64_t end) {
    const int64_t loaded = static_cast<int64_t>(bytes_.size());
    if (end <= loaded) return;
    const int64_t wanted = std::min(limit_, std::max({end, 2 * loaded, kPieceBytes}));
    const std::vector<uint8_t> piece = file_.read(loaded, wanted - loaded);
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
  }

  GgufValue array(int depth) {
    if (depth > kNestingLimit) damaged(cat("nests arrays deeper than ", int{kNestingLimit}));
    if (++arrays_ > kNestedArrayLimit) damaged("has more arrays than any sound file");
    GgufValue value;
    value.is_array = true;
    value.type = read<GgufType>("metadata");
    const int64_t number = number_bytes(value.type);
    value.count = count(number != 0 ? number : 8, "items of an array");
    if (value.type != GgufType::kArray) {
      items(&value);
      return value;
    }
    for (int64_t i = 0; i < value.count; ++i) value.arrays.push_back(array(depth + 1));
    return value;
  }

  // The `count` numbers or strings of a value.
  void items(GgufValue* value) {
    const int64_t number = number_bytes(value->type);
    if (value->type == GgufType::kString) {
      for (int64_t i = 0; i < value->count; ++i) append_string(value);
    } else if (number == 0) {
      damaged(cat("has metadata of the unknown type ", static_cast<uint32_t>(value->type)));
    } else {
      const int64_t size = number * value->count;  // count() has compared it with the file
      const uint8_t* bytes = take(size, "metadata");
      value->bytes.assign(bytes, bytes + size);
      const auto is_no_bool = [](uint8_t byte) { return byte > 1; };
      if (value->type == GgufType::kBool && std::any_of(bytes, bytes + size, is_no_bool)) {
        damaged("has a bool that is neither 0 nor 1");
      }
    }
  }

  void append_string(GgufValue* value) {
    const int64_t size = count(1, "characters of a string");
    const uint8_t* bytes = take(size, "metadata");
    value->bytes.insert(value->bytes.end(), bytes, bytes + size);
    value->ends.push_back(static_cast<int64_t>(value->bytes.size()));
  }

  const arrow::MappedFile& file_;
  int64_t limit_;
  int64_t position_ = 0;
  int64_t arrays_ = 0;
  std::vector<uint8_t> bytes_;
};

namespace {

// Sizes, elements and bytes of a tensor; empty when they fit together, else what is wrong.
std::string measure(GgufTensor* tensor) {
  int64_t bytes = 0;
  for (const int64_t size : tensor->shape) {
    if (size <= 0) return cat("has a size of ", static_cast<uint64_t>(size));
    if (!checked_mul(tensor->elements, size, &tensor->elements)) return "has more elements than any file";
  }
  const GgmlTypeInfo& type = *tensor->type;
  const int64_t row = tensor->shape.empty() ? 1 : tensor->shape.back();
  if (row % type.block_elements != 0) {
    return cat("has rows of ", row, " elements, ", type.name, " needs multiples of ", type.block_elements);
  }
  if (!checked_mul(tensor->blocks(), type.block_bytes, &bytes)) return "has more bytes than any file";
  tensor->bytes.size = bytes;
  return "";
}

}  // namespace

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path) {
  const std::shared_ptr<GgufFile> file(new GgufFile(arrow::MappedFile::open(path)));
  file->read();
  return file;
}

void GgufFile::read() {
  Cursor cursor(*mapping_);
  const std::string& path = mapping_->path();
  if (std::memcmp(cursor.take(4, "head"), "GGUF", 4) != 0) cursor.damaged("does not begin with GGUF");
  const uint32_t version = cursor.read<uint32_t>("head");
  if (version != 0 && (version & 0xffffu) == 0) {
    fail(ErrorKind::kWeight, path,
         ": is a big-endian GGUF file, which is not served; convert it to little-endian");
  }
  if (version != 2 && version != 3) {
    fail(ErrorKind::kWeight, path, ": has GGUF version ", version,
         ", 2 and 3 are read; write it anew with a current tool");
  }
  version_ = version;
  const int64_t tensor_count = cursor.count(kTensorBytesLeast, "tensors");
  const int64_t entry_count = cursor.count(kEntryBytesLeast, "entries of metadata");
  read_metadata(cursor, entry_count);
  read_alignment(cursor);
  read_tensors(cursor, tensor_count);
}

void GgufFile::read_metadata(Cursor& cursor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    std::string name = cursor.name("key");
    metadata_.push_back({std::move(name), cursor.value()});
  }
  keys_.build(metadata_, cursor.path() + ": metadata");
}

void GgufFile::read_alignment(Cursor& cursor) {
  const int64_t found = keys_.find(metadata_, kAlignmentKey);
  if (found < 0) return;
  const GgufValue& value = metadata_[static_cast<size_t>(found)].value;
  if (value.is_array || value.type != GgufType::kUint32) cursor.damaged("has an alignment that is no uint32");
  uint32_t alignment = 0;
  std::memcpy(&alignment, value.bytes.data(), sizeof(alignment));
  if (!std::has_single_bit(alignment) || alignment > kAlignmentLimit) {
    cursor.damaged(cat("has the alignment ", alignment, ", a power of two up to ", int64_t{kAlignmentLimit},
                       " is needed"));
  }
  alignment_ = alignment;
}

void GgufFile::read_tensors(Cursor& cursor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    GgufTensor tensor;
    tensor.name = cursor.name("tensor name");
    const auto refuse = [&](std::string_view why) {
      cursor.damaged(cat("tensor '", shown(tensor.name), "' ", why));
    };
    const uint32_t rank = cursor.read<uint32_t>("tensors");
    if (rank > kRankLimit)
      refuse(cat("has ", rank, " dimensions, at most ", uint32_t{kRankLimit}, " are possible"));
    for (uint32_t axis = 0; axis < rank; ++axis) tensor.shape.push_back(cursor.read<int64_t>("tensors"));
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    const uint32_t number = cursor.read<uint32_t>("tensors");
    tensor.type = find_ggml_type(number);
    if (tensor.type == nullptr) refuse(cat("has the unknown type ", number));
    const std::string wrong = measure(&tensor);
    if (!wrong.empty()) refuse(wrong);
    const uint64_t offset = cursor.read<uint64_t>("tensors");
    if (offset % static_cast<uint64_t>(alignment_) != 0 || offset > static_cast<uint64_t>(mapping_->size())) {
      refuse(cat("lies at ", offset, ", not at a multiple of ", alignment_, " inside the file"));
    }
    tensor.bytes.offset = static_cast<int64_t>(offset);
    tensors_.push_back(std::move(tensor));
  }
  names_.build(tensors_, cursor.path() + ": tensor");
  const int64_t start = round_up(cursor.position(), alignment_);
  check_places(cursor, mapping_->size() - start);
  for (GgufTensor& tensor : tensors_) tensor.bytes.offset += start;
}

// The bytes of the tensors follow each other; between them lies no more than alignment asks for.
void GgufFile::check_places(const Cursor& cursor, int64_t room) const {
  int64_t end = 0;
  for (const size_t i : by_offset(tensors_)) {
    const GgufTensor& tensor = tensors_[i];
    const int64_t expected = round_up(end, alignment_);
    if (tensor.bytes.offset != expected || !range_fits(tensor.bytes.offset, tensor.bytes.size, room)) {
      cursor.damaged(cat("tensor '", shown(tensor.name), "' of ", tensor.bytes.size, " bytes lies at ",
                         tensor.bytes.offset, " of ", room, ", it should at ", expected));
    }
    end = tensor.bytes.offset + tensor.bytes.size;
  }
}

const GgufTensor& GgufFile::tensor(std::string_view name) const {
  const int64_t found = names_.find(tensors_, name);
  if (found < 0) {
    fail(ErrorKind::kWeight, mapping_->path(), ": has no tensor '", shown(name), "', it has ",
         tensors_.size(), " others");
  }
  return tensors_[static_cast<size_t>(found)];
}

}  // namespace arrowmind::interchange
