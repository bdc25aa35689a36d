// SPDX-License-Identifier: Apache-2.0
// The laws of Comm over MPI; run by mpiexec on several ranks and alone. Oracles: comm_laws.cc.
#include "parallel/mpi_comm.h"

#include <gtest/gtest.h>

#include "parallel/world.h"
#include "tests/parallel/comm_laws.h"

namespace funnel::testing {
namespace {

World* world = nullptr;

TEST(World, KnowsItsPlace) {
  EXPECT_GE(world->rank(), 0);
  EXPECT_LT(world->rank(), world->size());
  EXPECT_FALSE(world->host().empty());
  // These tests run on one host.
  EXPECT_EQ(world->node_size(), world->size());
  EXPECT_EQ(world->node_rank(), world->rank());
  EXPECT_THROW(World(), Error);
}

TEST(MpiComm, KeepsTheLaws) {
  MpiComm comm(*world);
  EXPECT_EQ(comm.rank(), world->rank());
  EXPECT_EQ(comm.size(), world->size());
  check_all_laws(comm);
}

TEST(MpiComm, AnErrorNamesTheCallAndTheRank) {
  MpiComm comm(*world);
  if (comm.size() == 1) {
    EXPECT_THROW(comm.exchange(1, {}, {}), Error);
    return;
  }
  // Rank 0 expects fewer bytes than it gets, which MPI reports.
  std::vector<char> buffer(64);
  const int64_t bytes = comm.rank() == 0 ? 8 : 64;
  std::string message;
  try {
    if (comm.rank() < 2) {
      comm.exchange(1 - comm.rank(), ConstTensor(buffer.data(), {64}, DType::u8),
                    Tensor(buffer.data() + 0, {bytes}, DType::u8));
    }
  } catch (const Error& error) {
    message = error.what();
  }
  if (comm.rank() == 0) {
    EXPECT_NE(message.find("MPI_Sendrecv failed on rank 0 (" + world->host() + ")"),
              std::string::npos)
        << message;
  } else {
    EXPECT_EQ(message, "");
  }
}

// Two groups do not hear each other's messages.
TEST(MpiComm, GroupsAreApart) {
  MpiComm first(*world);
  MpiComm second(*world);
  if (first.size() == 1) return;
  const int peer = first.rank() ^ 1;
  int32_t sent[2] = {first.rank(), first.rank() + 100};
  int32_t got[2] = {-1, -1};
  MpiComm* order[2] = {&first, &second};
  for (int i = 0; i < 2; ++i) {
    order[i]->exchange(peer, ConstTensor(&sent[i], {1}, DType::i32),
                       Tensor(&got[i], {1}, DType::i32));
  }
  EXPECT_EQ(got[0], peer);
  EXPECT_EQ(got[1], peer + 100);
}

}  // namespace
}  // namespace funnel::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  funnel::World world;
  funnel::testing::world = &world;
  return RUN_ALL_TESTS();
}
