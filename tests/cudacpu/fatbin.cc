// SPDX-License-Identifier: Apache-2.0
// The functions that nvcc's host code calls to register its objects and to launch kernels, as the
// toolkit's crt/host_runtime.h declares them, and the PTX within those objects.
#include <cuda_runtime_api.h>
#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "tests/cudacpu/kernel_table.h"
#include "tests/cudacpu/memory.h"

namespace funnel::cudacpu {
namespace {

struct Wrapper {  // __fatBinC_Wrapper_t
  uint32_t magic, version;
  const char* data;
  const void* unused;
};
struct FatHeader {
  uint32_t magic;
  uint16_t version, header_bytes;
  uint64_t bytes;
};
struct EntryHeader {
  uint16_t kind, version;
  uint32_t header_bytes;
  uint64_t bytes;
  uint32_t unused[3];
  uint32_t architecture;
  uint32_t unused2[2];
  uint64_t flags;
};
constexpr uint32_t kWrapperMagic = 0x466243B1, kFatMagic = 0xBA55ED50;
constexpr uint16_t kPtxEntry = 1;

struct Tables {
  std::mutex mutex;
  std::deque<Module> modules;
  std::deque<Kernel> kernels;
  std::unordered_map<const void*, Kernel*> kernel_of;  // host functions and handles
  struct RegisteredVariable {
    Module* module;
    std::string name;
  };
  std::unordered_map<const void*, RegisteredVariable> variable_of;
};

Tables& tables() {
  static auto* one = new Tables;  // objects register themselves before and unregister after main
  return *one;
}

std::string demangle(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string out = status == 0 ? text : name;
  std::free(text);
  return out;
}

}  // namespace

std::string find_ptx(const void* wrapper) {
  const auto* outer = static_cast<const Wrapper*>(wrapper);
  const char* at = outer->data;
  FatHeader header;
  std::memcpy(&header, at, sizeof header);
  if (outer->magic != kWrapperMagic || header.magic != kFatMagic) {
    throw Fault(FaultKind::launch, "cudacpu: the object holds no fat binary this version knows");
  }
  at += header.header_bytes;
  const char* const end = at + header.bytes;
  std::string text;
  uint32_t newest = 0;
  bool compressed = false;
  while (at < end) {
    EntryHeader entry;
    std::memcpy(&entry, at, sizeof entry);
    const char* payload = at + entry.header_bytes;
    at = payload + entry.bytes;
    if (entry.kind != kPtxEntry || entry.architecture < newest) continue;
    const std::string candidate(payload, strnlen(payload, entry.bytes));
    if (candidate.find(".version") == std::string::npos) {
      compressed = true;
      continue;
    }
    newest = entry.architecture;
    text = candidate;
  }
  if (text.empty()) {
    throw Fault(FaultKind::launch,
                compressed ? "cudacpu: the object's PTX is compressed; build with --no-compress"
                           : "cudacpu: the object holds no PTX; build for a virtual architecture");
  }
  return text;
}

void Module::load() {
  if (ptx != nullptr) return;
  ptx = parse_ptx_module(find_ptx(wrapper));
  for (const PtxVariable& one : ptx->variables) {
    if (one.space == ".shared" || one.bytes == 0) continue;
    const Allocation* made = allocate(MemoryKind::variable, one.bytes, 0);
    if (made == nullptr) throw Fault(FaultKind::launch, "cudacpu: no memory for " + one.name);
    std::memset(made->storage, 0, static_cast<size_t>(one.bytes));
    std::memcpy(made->storage, one.initial.data(), one.initial.size());
    variables[one.name] = {reinterpret_cast<void*>(made->begin), one.bytes};
  }
}

uint64_t Module::address_of(const std::string& name) const {
  const auto found = variables.find(name);
  return found == variables.end() ? 0 : reinterpret_cast<uint64_t>(found->second.address);
}

int64_t Module::shared_bytes(const std::string& name, int64_t* align) const {
  for (const PtxVariable& one : ptx->variables) {
    if (one.space != ".shared" || one.name != name) continue;
    *align = one.align;
    return one.bytes;
  }
  return -1;
}

const Program& Kernel::load() {
  if (program != nullptr) return *program;
  module->load();
  const auto entry = module->ptx->entries.find(name);
  if (entry == module->ptx->entries.end()) {
    throw Fault(FaultKind::launch, "cudacpu: the object's PTX has no kernel " + readable_name);
  }
  program = std::make_unique<Program>(decode(parse_ptx_body(*module->ptx, entry->second), *module));
  program->kernel = this;
  program->name = readable_name;
  return *program;
}

const Kernel* find_kernel(const void* host_function_or_handle) {
  Tables& t = tables();
  const std::lock_guard lock(t.mutex);
  const auto found = t.kernel_of.find(host_function_or_handle);
  return found == t.kernel_of.end() ? nullptr : found->second;
}

const Variable* find_variable(const void* host_variable) {
  Tables& t = tables();
  const std::lock_guard lock(t.mutex);
  const auto found = t.variable_of.find(host_variable);
  if (found == t.variable_of.end()) return nullptr;
  found->second.module->load();
  const auto variable = found->second.module->variables.find(found->second.name);
  return variable == found->second.module->variables.end() ? nullptr : &variable->second;
}

KernelAttributes attributes(const Kernel& kernel) {
  auto& mutable_kernel = const_cast<Kernel&>(kernel);
  const Program& program = mutable_kernel.load();
  KernelAttributes out;
  out.name = kernel.name;
  out.static_shared_bytes = program.shared_bytes;
  out.local_bytes = program.local_bytes;
  for (const PtxVariable& one : kernel.module->ptx->variables) {
    if (one.space == ".const") out.constant_bytes += one.bytes;
  }
  const int most = kernel.module->ptx->entries.at(kernel.name).max_threads;
  out.max_threads_per_block = most == 0 ? 1024 : most;
  out.max_dynamic_shared_bytes = kernel.max_dynamic_shared_bytes >= 0
                                     ? kernel.max_dynamic_shared_bytes
                                     : 48 * 1024 - program.shared_bytes;
  return out;
}

void set_max_dynamic_shared_bytes(const Kernel& kernel, int64_t bytes) {
  const_cast<Kernel&>(kernel).max_dynamic_shared_bytes = bytes;
}

}  // namespace funnel::cudacpu

// --- The functions of crt/host_runtime.h
// -----------------------------------------------------------

using funnel::cudacpu::Kernel;
using funnel::cudacpu::Module;
using funnel::cudacpu::tables;

namespace {

struct CallConfiguration {
  dim3 grid, block;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};
thread_local std::deque<CallConfiguration> configurations;

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  auto& t = tables();
  const std::lock_guard lock(t.mutex);
  Module& made = t.modules.emplace_back();
  made.wrapper = wrapper;
  return reinterpret_cast<void**>(&made);
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void**) {}

char __cudaInitModule(void**) {
  return 1;
}

void __cudaRegisterFunction(void** handle, const char* host_function, char*, const char* name, int,
                            uint3*, uint3*, dim3*, dim3*, int*) {
  auto& t = tables();
  const std::lock_guard lock(t.mutex);
  Kernel& made = t.kernels.emplace_back();
  made.module = reinterpret_cast<Module*>(handle);
  made.name = name;
  made.readable_name = funnel::cudacpu::demangle(name);
  t.kernel_of[host_function] = &made;
  t.kernel_of[&made] = &made;
}

void __cudaRegisterVar(void** handle, char* host_variable, char*, const char* name, int, size_t,
                       int, int) {
  auto& t = tables();
  const std::lock_guard lock(t.mutex);
  t.variable_of[host_variable] = {reinterpret_cast<Module*>(handle), name};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, void* stream) {
  configurations.push_back({grid, block, shared_bytes, static_cast<cudaStream_t>(stream)});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                       void* stream) {
  if (configurations.empty()) return cudaErrorMissingConfiguration;
  const CallConfiguration last = configurations.back();
  configurations.pop_back();
  *grid = last.grid;
  *block = last.block;
  *shared_bytes = last.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = last.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* handle, const void* host_function) {
  const Kernel* found = funnel::cudacpu::find_kernel(host_function);
  if (found == nullptr) return cudaErrorInvalidDeviceFunction;
  *handle = reinterpret_cast<cudaKernel_t>(const_cast<Kernel*>(found));
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments,
                          shared_bytes, stream);
}

}  // extern "C"
