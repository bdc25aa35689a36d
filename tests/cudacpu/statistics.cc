// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/statistics.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "tests/cudacpu/kernel_table.h"

namespace funnel::cudacpu {
namespace {

constexpr int kSectorBytes = 32;
constexpr int kBanks = 32, kBankBytes = 4;

// A few numbers, each once.
class Distinct {
 public:
  void add(uint64_t value) {
    if (count_ > 0 && values_[count_ - 1] == value) return;
    for (int i = 0; i < count_; ++i) {
      if (values_[i] == value) return;
    }
    values_[count_++] = value;
  }
  int count() const { return count_; }

 private:
  std::array<uint64_t, kLanes * 2> values_;
  int count_ = 0;
};

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Adds the operations of one lane's execution.
void add_operations(const PtxInstruction& in, double lanes, Counters& to) {
  if (in.opcode() == "mma") {
    to.tensor_flops += lanes / kLanes * 2 * 16 * 8 * (in.has("m16n8k16") ? 16 : 8);
    return;
  }
  const bool fused = is_one_of(in.opcode(), {"fma", "mad"});
  if (!fused && !is_one_of(in.opcode(), {"add", "sub", "mul", "div", "rcp", "sqrt", "rsqrt", "ex2",
                                         "lg2", "sin", "cos", "tanh"})) {
    return;
  }
  const double operations = lanes * (fused ? 2 : 1);
  if (in.type() == "f64") {
    to.double_flops += operations;
  } else if (is_one_of(in.type(), {"f32", "f16", "bf16"})) {
    to.flops += operations;
  } else if (is_one_of(in.type(), {"f16x2", "bf16x2"})) {
    to.flops += 2 * operations;
  }
}

std::mutex mutex;

std::map<std::string, KernelStatistics>& kept() {
  static auto* const all = new std::map<std::string, KernelStatistics>;
  return *all;
}

}  // namespace

void Counters::add(const Counters& other, double times) {
  instructions += times * other.instructions;
  global_bytes += times * other.global_bytes;
  sectors += times * other.sectors;
  fewest_sectors += times * other.fewest_sectors;
  wavefronts += times * other.wavefronts;
  fewest_wavefronts += times * other.fewest_wavefronts;
  flops += times * other.flops;
  double_flops += times * other.double_flops;
  tensor_flops += times * other.tensor_flops;
}

void LaunchStatistics::access(const Request& request) {
  if (request.space == Space::global) global_access(request);
  if (request.space == Space::shared) shared_access(request);
}

// Addresses are multiples of the access's width, at most 32: no lane touches two sectors, and two
// lanes touch the same bytes or different ones.
void LaunchStatistics::global_access(const Request& request) {
  Distinct sectors, addresses;
  each_lane(request.mask, [&](int l) {
    sectors.add(request.address[l] / kSectorBytes);
    addresses.add(request.address[l]);
  });
  const int bytes = addresses.count() * request.bytes;
  counters_.global_bytes += __builtin_popcount(request.mask) * request.bytes;
  counters_.sectors += sectors.count();
  counters_.fewest_sectors += (bytes + kSectorBytes - 1) / kSectorBytes;
}

// Lanes of 8 bytes take turns by half warps, those of 16 by quarters. In a turn every bank gives
// one word, to as many lanes as want it.
void LaunchStatistics::shared_access(const Request& request) {
  const int words = std::max(1, request.bytes / kBankBytes), together = kLanes / words;
  for (int first = 0; first < kLanes; first += together) {
    const Mask turn = request.mask & ((together == kLanes ? 0 : Mask{1} << together) - 1) << first;
    if (turn == 0) continue;
    std::array<Distinct, kBanks> banks;
    each_lane(turn, [&](int l) {
      for (int word = 0; word < words; ++word) {
        const uint64_t at = request.address[l] / kBankBytes + word;
        banks[at % kBanks].add(at);
      }
    });
    int most = 0;
    for (const Distinct& bank : banks) most = std::max(most, bank.count());
    counters_.wavefronts += most;
    ++counters_.fewest_wavefronts;
  }
}

Counters LaunchStatistics::sum(const Program& program) const {
  Counters sum = counters_;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i] > 0) add_operations(program.function.instructions[i], lanes_[i], sum);
  }
  return sum;
}

void keep_statistics(const Launch& launch, const LaunchStatistics& of_launch, double times) {
  const Program& program = *launch.kernel->program;
  const Counters counters = of_launch.sum(program);
  const std::lock_guard lock(mutex);
  KernelStatistics& to = kept()[launch.kernel->name];
  to.kernel = launch.kernel->name;
  ++to.launches;
  to.threads = std::max(to.threads, static_cast<int64_t>(launch.block.count()));
  to.shared_bytes = std::max(to.shared_bytes, program.shared_bytes + launch.dynamic_shared_bytes);
  to.total.add(counters, times);
}

std::vector<KernelStatistics> take_statistics() {
  const std::lock_guard lock(mutex);
  std::vector<KernelStatistics> taken;
  for (auto& [name, one] : std::exchange(kept(), {})) taken.push_back(std::move(one));
  return taken;
}

}  // namespace funnel::cudacpu
