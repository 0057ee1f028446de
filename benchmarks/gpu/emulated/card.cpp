// A device that computes on the CPU and refuses what a card refuses.
//
// Its memory is the CPU's. Every operator goes through `onTheCpu`: it hands over the same memory as
// CPU tensors, and takes what comes back as tensors of the device. Operands on two devices, and a
// generator of the CPU for numbers drawn on the device, are errors, worded as on a CUDA card.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <set>

namespace {

using at::Tensor;
using c10::DispatchKey;
using c10::DispatchKeySet;
using c10::IValue;
using c10::Storage;

const c10::Device kCard(c10::DeviceType::PrivateUse1, 0);

struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::PrivateUse1> {
  c10::Device getDevice() const override { return kCard; }
  c10::Device exchangeDevice(c10::Device) const override { return kCard; }
  c10::Stream getStream(c10::Device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, kCard);
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

// A generator of the device; one of the CPU draws for it.
struct Chance final : at::CPUGeneratorImpl {
  at::Generator cpu = at::make_generator<at::CPUGeneratorImpl>();
  Chance() { device_ = kCard; }
  void set_current_seed(uint64_t seed) override {
    at::CPUGeneratorImpl::set_current_seed(seed);
    cpu.set_current_seed(seed);
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<Chance>();
  }
};
Hooks hooks;
const bool kRegistered = [] {
  at::RegisterPrivateUse1HooksInterface(&hooks);
  return true;
}();

bool onCard(const Tensor& t) { return t.defined() && t.device() == kCard; }

c10::DataPtr owned(const Storage& of) {
  auto* kept = new Storage(of);
  auto drop = [](void* held) { delete static_cast<Storage*>(held); };
  return {kept->mutable_data(), kept, drop, kCard};
}

void shape(const Tensor& made, const Tensor& like) {
  made.unsafeGetTensorImpl()->set_sizes_and_strides(
      like.sizes(), like.strides(), like.storage_offset());
}

// The same memory as a tensor of the CPU.
Tensor handedOver(const Tensor& t) {
  if (!onCard(t)) return t;
  const Storage& own = t.storage();
  c10::DataPtr ptr(own.mutable_data(), c10::Device(c10::kCPU));
  auto* cpu = c10::GetAllocator(c10::kCPU);
  Storage s(Storage::use_byte_size_t(), own.nbytes(), std::move(ptr), cpu, true);
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      std::move(s), DispatchKeySet(DispatchKey::CPU), t.dtype());
  shape(made, t);
  made._set_conj(t.is_conj());
  made._set_neg(t.is_neg());
  return made;
}

// What the CPU made, as a tensor of the device.
Tensor taken(const Tensor& t) {
  if (!t.defined() || t.layout() != c10::kStrided) return t;
  Storage s(Storage::use_byte_size_t(), t.storage().nbytes(), owned(t.storage()), nullptr, false);
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      std::move(s), DispatchKeySet(DispatchKey::PrivateUse1), t.dtype());
  shape(made, t);
  return made;
}

Tensor viewOf(const Tensor& base, const Tensor& t) {
  auto keys = base.key_set().remove(DispatchKey::Python).remove(DispatchKey::PythonTLSSnapshot);
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      c10::TensorImpl::VIEW, Storage(base.storage()), keys, t.dtype());
  shape(made, t);
  made._set_conj(t.is_conj());
  made._set_neg(t.is_neg());
  return made;
}

// Operators that take both devices on a card, too.
const std::set<std::string> kBoth = {
    "aten::_copy_from", "aten::copy_", "aten::index.Tensor", "aten::index", "aten::index_put",
    "aten::index_put_", "aten::_index_put_impl_"};

void checkPlace(const std::string& name, const Tensor& t) {
  TORCH_CHECK(
      !t.defined() || onCard(t) || t.dim() == 0 || kBoth.count(name),
      "Expected all tensors to be on the same device, but found at least two devices, ",
      kCard, " and ", t.device(), "! (", name, ")");
}

bool anyOnCard(const std::vector<IValue>& values) {
  for (const auto& v : values) {
    if (v.isTensor() && onCard(v.toTensor())) return true;
    if (v.isTensorList())
      for (const Tensor& t : v.toTensorVector())
        if (onCard(t)) return true;
  }
  return false;
}

IValue argument(const std::string& name, const IValue& v, bool check) {
  if (v.isTensor()) {
    if (check) checkPlace(name, v.toTensor());
    return handedOver(v.toTensor());
  }
  if (v.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& t : v.toTensorVector()) {
      if (check) checkPlace(name, t);
      list.push_back(handedOver(t));
    }
    return list;
  }
  if (v.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (std::optional<Tensor> t : v.toOptionalTensorList())
      list.push_back(t ? std::optional<Tensor>(handedOver(*t)) : t);
    return list;
  }
  if (v.isDevice()) return c10::Device(c10::kCPU);
  if (!v.isGenerator()) return v;
  auto* chance = dynamic_cast<Chance*>(v.toGenerator().unsafeGetGeneratorImpl());
  TORCH_CHECK(
      chance, "Expected a '", kCard.type(), "' device type for generator but found 'cpu' (", name,
      ")");
  return chance->cpu;
}

// Arguments that were resized, or given other memory, are so on the device.
void writeBack(const Tensor& card, const Tensor& cpu, bool written) {
  if (cpu.storage().data() != card.storage().data()) {
    card.storage().set_data_ptr_noswap(owned(cpu.storage()));
    card.storage().set_nbytes(cpu.storage().nbytes());
  }
  if (written && (card.sizes() != cpu.sizes() || card.strides() != cpu.strides()))
    shape(card, cpu);
}

struct Call {
  std::vector<IValue> own, given;

  Tensor result(const Tensor& t, bool written) const {
    if (!t.defined() || t.layout() != c10::kStrided) return t;
    for (size_t i = 0; i < given.size(); i++) {
      if (!given[i].isTensor()) continue;
      const Tensor base = own[i].toTensor(), cpu = given[i].toTensor();
      if (cpu.is_same(t) && (written || !onCard(base))) return base;
      if (onCard(base) && cpu.is_alias_of(t)) return viewOf(base, t);
    }
    return taken(t);
  }
};

void onTheCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const size_t n = schema.arguments().size();
  Call call{{stack->end() - n, stack->end()}, {}};
  const bool check = anyOnCard(call.own);
  for (const auto& v : call.own) call.given.push_back(argument(schema.name(), v, check));
  torch::jit::drop(*stack, n);
  torch::jit::Stack inner(call.given.begin(), call.given.end());
  op.redispatchBoxed(DispatchKeySet(DispatchKey::CPU), &inner);
  for (size_t i = 0; i < n; i++) {
    if (!call.own[i].isTensor() || !onCard(call.own[i].toTensor())) continue;
    const auto* info = schema.arguments()[i].alias_info();
    writeBack(call.own[i].toTensor(), call.given[i].toTensor(), info && info->isWrite());
  }
  for (size_t r = 0; r < inner.size(); r++) {
    const auto* info = schema.returns()[r].alias_info();
    if (inner[r].isTensor()) {
      stack->push_back(call.result(inner[r].toTensor(), info && info->isWrite()));
    } else if (inner[r].isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& t : inner[r].toTensorVector()) list.push_back(call.result(t, false));
      stack->push_back(list);
    } else {
      stack->push_back(inner[r]);
    }
  }
}

Tensor copyFrom(const Tensor& from, const Tensor& to, bool) {
  handedOver(to).copy_(handedOver(from));
  return to;
}

// Zeros without memory, as forward mode makes them.
Tensor noMemory(
    at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool>) {
  Storage s(Storage::use_byte_size_t(), 0, c10::DataPtr(nullptr, kCard), nullptr, false);
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      std::move(s), DispatchKeySet({DispatchKey::PrivateUse1, DispatchKey::ZeroTensor}),
      c10::scalarTypeToTypeMeta(dtype.value_or(at::kFloat)));
  made.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return made;
}

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&onTheCpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("_copy_from", &copyFrom);
  m.impl("_efficientzerotensor", &noMemory);
}
