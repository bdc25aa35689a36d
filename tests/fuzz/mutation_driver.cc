// SPDX-License-Identifier: Apache-2.0
// Feeds a target with mutations of its seeds:  TARGET [inputs [seed [first]]]
// Input i is a pure function of (seed, i), so `TARGET 1 SEED I` repeats one; a crash names it.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "data/random_sequence.h"
#include "tests/fuzz/fuzz_target.h"

// Of the sanitizers' runtime, where there is one.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace funnel::testing {
namespace {

constexpr int64_t kLongestInput = int64_t{1} << 18;
constexpr int64_t kMostMutations = 8;

char culprit[64];  // what to run again, always ready: a dying process formats nothing

void name_culprit() {
  size_t length = 0;
  while (culprit[length] != '\0') ++length;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, culprit, length);
}

void die(int signal) {
  name_culprit();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

// Bytes that borders of formats are made of.
constexpr unsigned char kInteresting[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '\n', '"', '{',
                                          '}',  '\\', ':',  '#',  ' ',  '0',  '9', 0xc2};

void mutate(std::string& input, const std::string& other, RandomSequence& random) {
  const auto size = static_cast<int64_t>(input.size());
  const int64_t at = random.below(size + 1);
  const int64_t count = 1 + random.below(std::min<int64_t>(size - at, 16) + 1);
  switch (random.below(7)) {
    case 0:
      if (at < size) input[at] = static_cast<char>(input[at] ^ (1 << random.below(8)));
      break;
    case 1:
      if (at < size) input[at] = static_cast<char>(random.word());
      break;
    case 2:
      input.insert(at, 1, static_cast<char>(kInteresting[random.below(sizeof(kInteresting))]));
      break;
    case 3:
      input.erase(at, count);
      break;
    case 4:
      input.insert(at, input.substr(random.below(size + 1), count));
      break;
    case 5:
      input.resize(at);
      break;
    default: {
      const auto from = random.below(static_cast<int64_t>(other.size()) + 1);
      input.insert(at, other.substr(from, 4 * count));
    }
  }
  if (static_cast<int64_t>(input.size()) > kLongestInput) input.resize(kLongestInput);
}

std::string make_input(const std::vector<std::string>& seeds, uint64_t seed, int64_t number) {
  RandomSequence random(RandomStream(seed, Site("fuzz"), number));
  const auto pick = [&]() -> const std::string& {
    return seeds[random.below(static_cast<int64_t>(seeds.size()))];
  };
  std::string input = pick();
  for (int64_t left = random.below(kMostMutations + 1); left > 0; --left) {
    mutate(input, pick(), random);
  }
  return input;
}

int run(const char* program, int64_t inputs, uint64_t seed, int64_t first) {
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(name_culprit);
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) {
    // A sanitizer tells more about what it handles itself.
    if (__sanitizer_set_death_callback == nullptr || signal == SIGABRT) std::signal(signal, die);
  }
  const std::vector<std::string> seeds = fuzz_seeds();
  for (int64_t i = first; i < first + inputs; ++i) {
    std::snprintf(culprit, sizeof(culprit), "\nfuzz: dies of input 1 %llu %lld\n",
                  static_cast<unsigned long long>(seed), static_cast<long long>(i));
    const std::string input = make_input(seeds, seed, i);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
  std::printf("%s: %lld inputs\n", program, static_cast<long long>(inputs));
  return 0;
}

}  // namespace
}  // namespace funnel::testing

int main(int argc, char** argv) {
  const auto number = [&](int i, long long otherwise) {
    return argc > i ? std::strtoll(argv[i], nullptr, 10) : otherwise;
  };
  return funnel::testing::run(argv[0], number(1, 1000), static_cast<uint64_t>(number(2, 0)),
                              number(3, 0));
}
