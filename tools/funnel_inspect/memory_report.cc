// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_inspect/memory_report.h"

#include <bit>
#include <vector>

#include "core/backend/buffer.h"
#include "core/base/error.h"
#include "core/model/model_memory.h"
#include "parallel/shard_tree.h"
#include "tools/funnel_inspect/model_report.h"
#include "tools/funnel_inspect/table.h"

namespace funnel {

namespace {

// Bytes of one owner: of each of its layers where it is a run of layers, and in all.
struct Owner {
  std::string name;
  int64_t times = 0;
  int64_t each = 0;
  int64_t all = 0;
};

std::vector<Owner> owners(const NetworkMemory& network, int64_t head) {
  std::vector<Owner> owners{{"embedding", 0, 0, network.embedding},
                            {"input projection", 0, 0, network.input_projection},
                            {"pooled flags, position tables", 0, 0, network.plans},
                            {"pooled hidden states", 0, 0, network.pooling}};
  bool is_upsampled = false;
  const auto add_upsampling = [&] {
    if (!is_upsampled) owners.push_back({"upsampled hidden states", 0, 0, network.upsampling});
    is_upsampled = true;
  };
  for (const LayerMemory& layer : network.layers) {
    if (layer.run.is_decoder) add_upsampling();
    owners.push_back({run_name(layer.run), layer.run.applications, layer.one, layer.total()});
  }
  add_upsampling();
  owners.push_back({"head", 0, 0, head});
  return owners;
}

std::string bytes_or_blank(int64_t bytes) {
  return bytes == 0 ? "" : grouped(bytes);
}

void add_networks(Table& table, const SavedMemory& saved, bool is_electra) {
  const std::vector<Owner> network = owners(saved.network, saved.head);
  // The generator has the layout of the discriminator, so row follows row.
  const std::vector<Owner> generator =
      is_electra ? owners(saved.generator, saved.generator_head) : std::vector<Owner>();
  for (size_t i = 0; i < network.size(); ++i) {
    const Owner& owner = network[i];
    if (owner.all == 0 && (!is_electra || generator[i].all == 0)) continue;
    std::vector<std::string> row{owner.name, owner.times == 0 ? "" : concat(owner.times),
                                 bytes_or_blank(owner.each), grouped(owner.all)};
    if (is_electra) {
      row.push_back(bytes_or_blank(generator[i].each));
      row.push_back(grouped(generator[i].all));
    }
    table.add(std::move(row));
  }
}

// As `auto` picks on the device that is configured; where that is open, as on the CPU.
DType activation_dtype(const RunConfig& config) {
  const bool is_cuda = config.device == DeviceChoice::cuda;
  return storage_dtype(config.precision, is_cuda ? Device::cuda : Device::cpu);
}

std::string saved_table(const RunConfig& config, const SavedMemory& saved, int64_t sequences) {
  const bool is_electra = config.pretrain.objective == Objective::electra;
  Table table;
  table.add(is_electra ? std::vector<std::string>{"", "times", "one layer", "discriminator",
                                                  "one layer", "generator"}
                       : std::vector<std::string>{"", "times", "one layer", "network"});
  add_networks(table, saved, is_electra);
  if (is_electra) {
    table.add({"replaced tokens and labels", "", "", grouped(saved.replacement), "", "0"});
    table.add({"all", "", "", grouped(saved.network.total() + saved.head + saved.replacement), "",
               grouped(saved.generator.total() + saved.generator_head)});
  } else {
    table.add({"all", "", "", grouped(saved.total())});
  }
  return concat("\nActivations kept of one micro-batch of ", sequences,
                sequences == 1 ? " sequence" : " sequences", " of ", config.data.seq_len, " in ",
                name_of(activation_dtype(config)), ", in bytes\n", table.text());
}

std::string rank_table(const RunConfig& config, int64_t activations, int64_t ranks) {
  const int64_t shards =
      shards_of_rank(config.train.logical_shards, 0, static_cast<int>(ranks)).count;
  const int64_t flat = flat_elements(config.pretrain) * size_of(DType::f32);
  const int64_t partial_sums = std::countr_zero(static_cast<uint64_t>(shards)) * align_up(flat);
  const int64_t rounded = activation_dtype(config) == DType::bf16 ? flat / 2 : 0;
  const int64_t total = flat + rounded + flat + partial_sums + 2 * flat + activations;
  Table table;
  table.add({"weights", grouped(flat)});
  if (rounded > 0) table.add({"weights in bf16", grouped(rounded)});
  table.add({"gradients", grouped(flat)});
  table.add({"partial sums of gradients over shards", grouped(partial_sums)});
  table.add({"moments of the optimizer", grouped(2 * flat)});
  table.add({"kept activations", grouped(activations)});
  table.add({"a rank needs, beside scratch", grouped(total), size_text(total)});
  return concat("\nMemory of a rank with ", shards, " of ", config.train.logical_shards,
                " logical shards, one after the other, in bytes\n", table.text());
}

}  // namespace

std::string memory_report(const RunConfig& config, int64_t sequences, int64_t ranks) {
  const SavedMemory saved =
      saved_memory(config.pretrain, {.batch = sequences,
                                     .seq = config.data.seq_len,
                                     .predictions = config.corruption.predictions,
                                     .dtype = activation_dtype(config)});
  return saved_table(config, saved, sequences) + rank_table(config, saved.total(), ranks);
}

}  // namespace funnel
