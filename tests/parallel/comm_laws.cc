// SPDX-License-Identifier: Apache-2.0
#include "tests/parallel/comm_laws.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/base/random.h"
#include "parallel/shard_tree.h"
#include "parallel/step_word.h"
#include "parallel/together.h"

namespace funnel::testing {
namespace {

constexpr int64_t kShards = 16;
// Longer than one message of MpiComm and, as halves, than one piece of the sum.
constexpr int64_t kLongBytes = (int64_t{1} << 24) + 3;
constexpr int64_t kManyElements = 1'100'003;

uint8_t byte_of(int rank, int64_t i) {
  return static_cast<uint8_t>(Site::mix(rank * 7919 + i));
}

std::vector<uint8_t> bytes_of(int rank, int64_t count) {
  std::vector<uint8_t> bytes(count);
  for (int64_t i = 0; i < count; ++i) bytes[i] = byte_of(rank, i);
  return bytes;
}

Tensor view(std::vector<uint8_t>& bytes) {
  return Tensor(bytes.data(), {static_cast<int64_t>(bytes.size())}, DType::u8);
}

// Values over many powers of two and of both signs: the order of additions shows in the bits.
template <class T>
T leaf_value(int64_t shard, int64_t i) {
  const uint64_t bits = Site::mix(shard * 1'000'003 + i + 1);
  const double mantissa = static_cast<double>(bits >> 11) * 0x1p-53 - 0.5;
  return static_cast<T>(std::ldexp(mantissa, static_cast<int>(bits % 24)));
}

// The oracle: the sum over shards [first, first + count), split in the middle until one is left.
template <class T>
T naive_sum(int64_t first, int64_t count, int64_t i) {
  if (count == 1) return leaf_value<T>(first, i);
  const T left = naive_sum<T>(first, count / 2, i);
  const T right = naive_sum<T>(first + count / 2, count / 2, i);
  return left + right;
}

template <class T>
void check_exact_sum_of(Comm& comm, int64_t count) {
  const ShardRange range = shards_of_rank(kShards, comm.rank(), comm.size());
  std::vector<T> gradient(count);
  const Tensor leaf(gradient.data(), {count}, dtype_of<T>());
  ShardTree tree(leaf, range.count);
  comm.barrier();  // ranks may be threads of this process: none allocates beyond here
  const int64_t allocations = Buffer::allocations();
  for (int step = 0; step < 2; ++step) {  // a tree serves step after step
    for (int64_t shard = range.first; shard < range.first + range.count; ++shard) {
      for (int64_t i = 0; i < count; ++i) gradient[i] = leaf_value<T>(shard, i + step);
      tree.fold();
    }
    comm.all_reduce_sum(leaf);
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; ++i) {
      const T expected = naive_sum<T>(0, kShards, i + step);
      wrong += std::memcmp(&expected, &gradient[i], sizeof(T)) != 0;
    }
    EXPECT_EQ(wrong, 0) << "of " << count << " elements of " << name_of(dtype_of<T>()) << ", rank "
                        << comm.rank() << " of " << comm.size() << ", step " << step;
  }
  EXPECT_EQ(Buffer::allocations(), allocations);
  comm.barrier();  // none allocates before here
}

// A device array of bytes with a host's values.
class DeviceBytes {
 public:
  DeviceBytes(Context& context, std::vector<uint8_t> values)
      : context_(context),
        memory_(context.device(), static_cast<int64_t>(values.size())),
        tensor(memory_.tensor({static_cast<int64_t>(values.size())}, DType::u8)) {
    context.upload(view(values), tensor);
    context.synchronize();
  }
  std::vector<uint8_t> values() const {
    std::vector<uint8_t> bytes(static_cast<size_t>(tensor.bytes()));
    context_.download(tensor, view(bytes));
    return bytes;
  }

 private:
  Context& context_;
  Buffer memory_;

 public:
  const Tensor tensor;
};

void check_device_moves(Comm& comm, Context& context, int64_t count) {
  const int last = comm.size() - 1;
  DeviceBytes mine(context, bytes_of(comm.rank(), count));
  DeviceBytes all(context, std::vector<uint8_t>(count * comm.size()));
  comm.all_gather(mine.tensor, all.tensor);
  std::vector<uint8_t> expected;
  for (int rank = 0; rank < comm.size(); ++rank) {
    const std::vector<uint8_t> part = bytes_of(rank, count);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(all.values() == expected) << "rank " << comm.rank();
  for (int distance = 1; distance < comm.size(); distance *= 2) {
    const int peer = comm.rank() ^ distance;
    DeviceBytes theirs(context, std::vector<uint8_t>(count - peer % 2));
    comm.exchange(peer, mine.tensor.slice(0, {count - comm.rank() % 2}), theirs.tensor);
    std::vector<uint8_t> of_peer = bytes_of(peer, count);
    of_peer.resize(count - peer % 2);
    EXPECT_TRUE(theirs.values() == of_peer) << "rank " << comm.rank() << ", peer " << peer;
  }
  comm.broadcast(mine.tensor, last);
  EXPECT_TRUE(mine.values() == bytes_of(last, count)) << "rank " << comm.rank();
}

template <class T>
void check_exact_device_sum(Comm& comm, Context& context, int64_t count) {
  const ShardRange range = shards_of_rank(kShards, comm.rank(), comm.size());
  std::vector<T> gradient(count);
  const Tensor host(gradient.data(), {count}, dtype_of<T>());
  Buffer memory(context.device(), host.bytes());
  const Tensor leaf = memory.tensor({count}, dtype_of<T>());
  ShardTree tree(leaf, range.count, &context);
  comm.barrier();
  const int64_t allocations = Buffer::allocations();
  for (int64_t shard = range.first; shard < range.first + range.count; ++shard) {
    for (int64_t i = 0; i < count; ++i) gradient[i] = leaf_value<T>(shard, i);
    context.upload(host, leaf);
    context.synchronize();
    tree.fold();
  }
  comm.all_reduce_sum(leaf);
  context.download(leaf, host);
  int64_t wrong = 0;
  for (int64_t i = 0; i < count; ++i) {
    const T expected = naive_sum<T>(0, kShards, i);
    wrong += std::memcmp(&expected, &gradient[i], sizeof(T)) != 0;
  }
  EXPECT_EQ(wrong, 0) << "of " << count << " elements of " << name_of(dtype_of<T>()) << ", rank "
                      << comm.rank() << " of " << comm.size();
  EXPECT_EQ(Buffer::allocations(), allocations);
  comm.barrier();
}

}  // namespace

void check_broadcast(Comm& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    for (int64_t count : {int64_t{0}, int64_t{1}, int64_t{1000}}) {
      std::vector<uint8_t> bytes = bytes_of(comm.rank(), count);
      comm.broadcast(view(bytes), root);
      EXPECT_EQ(bytes, bytes_of(root, count)) << "rank " << comm.rank() << ", root " << root;
    }
  }
  std::vector<uint8_t> bytes(kLongBytes, static_cast<uint8_t>(comm.rank() + 1));
  bytes.back() = static_cast<uint8_t>(comm.rank() + 100);
  comm.broadcast(view(bytes), 0);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[kLongBytes - 4], 1);
  EXPECT_EQ(bytes.back(), 100);

  std::string text = comm.rank() == 0 ? std::string("two\nlines and a \0 byte", 22) : "other";
  broadcast_text(comm, text, 0);
  EXPECT_EQ(text, std::string("two\nlines and a \0 byte", 22));
}

void check_all_gather(Comm& comm) {
  for (int64_t count : {0, 1, 1001}) {
    std::vector<uint8_t> mine = bytes_of(comm.rank(), count);
    std::vector<uint8_t> all(count * comm.size());
    comm.all_gather(view(mine), view(all));
    std::vector<uint8_t> expected;
    for (int rank = 0; rank < comm.size(); ++rank) {
      const std::vector<uint8_t> part = bytes_of(rank, count);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    EXPECT_EQ(all, expected) << "rank " << comm.rank();
  }
}

void check_exchange(Comm& comm) {
  // Messages of different lengths in the two directions, one of them in several MPI messages.
  for (int distance = 1; distance < comm.size(); distance *= 2) {
    const int peer = comm.rank() ^ distance;
    for (int64_t base : {int64_t{0}, int64_t{5}, distance == 1 ? kLongBytes : int64_t{70'000}}) {
      std::vector<uint8_t> send = bytes_of(comm.rank(), base == 0 ? 0 : base - comm.rank() % 2);
      std::vector<uint8_t> receive(base == 0 ? 0 : base - peer % 2);
      comm.exchange(peer, view(send), view(receive));
      EXPECT_EQ(receive.size() < 100 ? receive : std::vector<uint8_t>{receive.back()},
                receive.size() < 100
                    ? bytes_of(peer, static_cast<int64_t>(receive.size()))
                    : std::vector<uint8_t>{byte_of(peer, static_cast<int64_t>(receive.size()) - 1)})
          << "rank " << comm.rank() << ", peer " << peer;
    }
  }
}

void check_exact_sum(Comm& comm) {
  for (int64_t count : {0, 1, 2, 3, 5, 7, 31, 33, 1000, 4097}) {
    check_exact_sum_of<float>(comm, count);
    check_exact_sum_of<double>(comm, count);
  }
  check_exact_sum_of<float>(comm, kManyElements);
  check_exact_sum_of<double>(comm, kManyElements / 2);
}

void check_step_word(Comm& comm) {
  constexpr int64_t kValues = 3;
  const ShardRange range = shards_of_rank(kShards, comm.rank(), comm.size());
  StepWord word(kValues, range.count);
  const int last = comm.size() - 1;
  const uint64_t digest = 0x0123456789abcdefull;
  const auto reduce = [&](const StepWord::OfRank& mine) {
    for (int64_t shard = range.first; shard < range.first + range.count; ++shard) {
      for (int64_t i = 0; i < kValues; ++i) word.values()[i] = leaf_value<double>(shard, i);
      word.fold_shard();
    }
    const StepWord::Agreed agreed = word.reduce(comm, mine);
    for (int64_t i = 0; i < kValues; ++i) {
      EXPECT_EQ(word.values()[i], naive_sum<double>(0, kShards, i));
    }
    return agreed;
  };

  StepWord::Agreed agreed = reduce({.replica_digest = digest});
  EXPECT_FALSE(agreed.stop);
  EXPECT_FALSE(agreed.non_finite);
  EXPECT_TRUE(agreed.replicas_agree);

  agreed = reduce({.stop = comm.rank() == last, .replica_digest = digest});
  EXPECT_TRUE(agreed.stop);
  EXPECT_FALSE(agreed.non_finite);

  agreed = reduce({.non_finite = comm.rank() == 0, .replica_digest = digest});
  EXPECT_FALSE(agreed.stop);
  EXPECT_TRUE(agreed.non_finite);

  for (int bit = 0; bit < 64 && comm.size() > 1; ++bit) {
    const uint64_t flip = comm.rank() == last ? uint64_t{1} << bit : 0;
    EXPECT_FALSE(reduce({.replica_digest = digest ^ flip}).replicas_agree) << "bit " << bit;
  }
}

void check_failing_together(Comm& comm) {
  together(comm, [] {});  // nobody fails: nobody throws
  const int last = comm.size() - 1;
  try {
    together(comm, [&] {
      if (comm.rank() == last) throw Error("disk full", ExitCode::kUsage);
    });
    ADD_FAILURE() << "rank " << comm.rank() << " did not throw";
  } catch (const Error& error) {
    const std::string expected =
        comm.size() == 1 ? "disk full" : concat("rank ", last, ": disk full");
    EXPECT_EQ(error.what(), expected);
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
  }
  try {
    together(comm, [] { throw Error("no such folder"); });
    ADD_FAILURE() << "rank " << comm.rank() << " did not throw";
  } catch (const SharedError& error) {
    EXPECT_STREQ(error.what(), "no such folder");  // all say so
  }
  comm.barrier();  // the group still works
}

void check_device_laws(Comm& comm, Context& context) {
  const int64_t longest = comm.size() <= 2 ? kLongBytes : 70'000;
  for (const int64_t count : {int64_t{2}, int64_t{1001}, longest}) {
    check_device_moves(comm, context, count);
  }
  for (const int64_t count : {0, 1, 3, 33, 4097}) {
    check_exact_device_sum<float>(comm, context, count);
    check_exact_device_sum<double>(comm, context, count);
  }
}

}  // namespace funnel::testing
