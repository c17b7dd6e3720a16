#include "runtime/on_device/dlpack.h"

namespace arrowmind::runtime {
namespace {

constexpr uint8_t kFloat = 2;  // of the codes of types

// What a lent tensor needs for as long as it is lent, and the tensor itself.
template <typename Managed>
struct Loan {
  std::shared_ptr<const SharedRows> rows;
  int64_t shape[2], strides[2];
  Managed managed;
};

template <typename Managed>
Managed* fill(const std::shared_ptr<const SharedRows>& rows) {
  const SharedRows::Address at = rows->address();
  auto loan = std::make_unique<Loan<Managed>>();
  loan->rows = rows;
  loan->shape[0] = rows->rows();
  loan->shape[1] = loan->strides[0] = rows->columns();
  loan->strides[1] = 1;
  loan->managed = {};
  loan->managed.dl_tensor = {.data = at.data,
                             .device = {at.device_type, at.device_id},
                             .ndim = 2,
                             .dtype = {kFloat, 32, 1},
                             .shape = loan->shape,
                             .strides = loan->strides,
                             .byte_offset = 0};
  loan->managed.deleter = [](Managed* self) { delete static_cast<Loan<Managed>*>(self->manager_ctx); };
  loan->managed.manager_ctx = loan.get();
  return &loan.release()->managed;
}

}  // namespace

DLManagedTensor* lend(const std::shared_ptr<const SharedRows>& rows) {
  return fill<DLManagedTensor>(rows);
}

DLManagedTensorVersioned* lend_versioned(const std::shared_ptr<const SharedRows>& rows, bool is_copied) {
  DLManagedTensorVersioned* managed = fill<DLManagedTensorVersioned>(rows);
  managed->version = {1, 0};
  managed->flags = is_copied ? kDlpackIsCopied : 0;
  return managed;
}

}  // namespace arrowmind::runtime
