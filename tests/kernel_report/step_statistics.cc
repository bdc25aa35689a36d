// SPDX-License-Identifier: Apache-2.0
// One training step of a configuration on the host runtime, and what each of its kernels did in it:
// a line a kernel, as printed by print_line. For tools/kernel_report, which divides and judges.
//
//     step_statistics BLOCKS CONFIG [SETTING...]
//
// BLOCKS: all, or how many blocks of each launch stand for all of them, so that the step of a model
// too large to interpret can be rehearsed.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/backend/device.h"
#include "launch/config.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/statistics.h"
#include "tests/launch/learner_fixture.h"

namespace funnel::testing {
namespace {

void set_options(const std::string& blocks) {
  cudacpu::set_option("statistics", "on");
  cudacpu::set_option("blocks", blocks);
  cudacpu::set_option("memory", "200G");  // addresses, of which a rehearsal uses few
  cudacpu::set_option("race", "off");
  cudacpu::set_option("init", "off");
}

void print_line(const cudacpu::KernelStatistics& one) {
  const cudacpu::Counters& total = one.total;
  std::printf("%s %lld %lld %lld", one.kernel.c_str(), static_cast<long long>(one.launches),
              static_cast<long long>(one.threads), static_cast<long long>(one.shared_bytes));
  for (const double count :
       {total.global_bytes, total.sectors, total.fewest_sectors, total.wavefronts,
        total.fewest_wavefronts, total.flops, total.double_flops, total.tensor_flops}) {
    std::printf(" %.0f", count);
  }
  std::printf("\n");
}

void run(const std::string& blocks, const std::filesystem::path& file,
         const std::vector<std::string>& settings) {
  set_options(blocks);
  const RunConfig config = load_config(std::span(&file, 1), settings);
  select_cuda_device(0);
  SoloComm comm;
  Learner learner(comm, config, Device::cuda);
  MemoryFeed feed(config, learner.shards(), 1);
  cudacpu::take_statistics();  // what made the learner is no part of a step
  learner.train_step(0, feed.source(), false);
  for (const cudacpu::KernelStatistics& one : cudacpu::take_statistics()) print_line(one);
}

}  // namespace
}  // namespace funnel::testing

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: step_statistics BLOCKS CONFIG [SETTING...]\n");
    return 2;
  }
  try {
    funnel::testing::run(argv[1], argv[2], {argv + 3, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "step_statistics: %s\n", error.what());
    return 1;
  }
}
