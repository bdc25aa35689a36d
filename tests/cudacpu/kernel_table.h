// SPDX-License-Identifier: Apache-2.0
// The modules and kernels of this program, loaded from its objects when first used.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tests/cudacpu/decode.h"
#include "tests/cudacpu/kernel.h"
#include "tests/cudacpu/ptx_parse.h"

namespace funnel::cudacpu {

// One fat binary: what nvcc made of one source file.
struct Module : SymbolTable {
  const void* wrapper = nullptr;  // the __fatBinC_Wrapper_t of the object
  std::unique_ptr<PtxModule> ptx;
  std::map<std::string, Variable> variables;  // .global and .const

  // Parses the PTX and allocates the variables, once. Throws Fault.
  void load();
  uint64_t address_of(const std::string& name) const override;
  int64_t shared_bytes(const std::string& name, int64_t* align) const override;
};

struct Kernel {
  Module* module = nullptr;
  std::string name;  // of the PTX entry
  std::string readable_name;
  int64_t max_dynamic_shared_bytes = -1;  // as set; -1: not set
  std::unique_ptr<Program> program;

  // Decodes the body, once. Throws Fault.
  const Program& load();
};

// The PTX of a fat binary, the text for the newest architecture if it holds several; throws Fault
// if it holds none or only compressed text.
std::string find_ptx(const void* wrapper);

}  // namespace funnel::cudacpu
