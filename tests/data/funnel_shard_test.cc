// SPDX-License-Identifier: Apache-2.0
// The program from end to end on text made here. Oracle: its exit codes and messages, and the data
// set that the library then opens.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>

#include "data/data_set.h"
#include "data/durable_file.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

struct Outcome {
  int exit_code;
  std::string output;  // of both streams
};

Outcome run(const std::string& arguments) {
  const std::string command = concat(FUNNEL_SHARD_PROGRAM, " ", arguments, " 2>&1");
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> piece;
  while (const size_t got = std::fread(piece.data(), 1, piece.size(), pipe)) {
    output.append(piece.data(), got);
  }
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

void expect_fails(const std::string& arguments, std::initializer_list<std::string> parts,
                  int exit_code = 2) {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, exit_code) << arguments << '\n' << outcome.output;
  for (const std::string& part : parts) {
    EXPECT_NE(outcome.output.find(part), std::string::npos)
        << arguments << "\nexpected '" << part << "' in: " << outcome.output;
  }
}

std::string expect_works(const std::string& arguments) {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << arguments << '\n' << outcome.output;
  return outcome.output;
}

// Sentences of made-up words, some of them common.
std::string text_of(int documents) {
  std::mt19937 random(2);
  std::ostringstream text;
  for (int d = 0; d < documents; ++d) {
    for (int sentence = 0; sentence < 8; ++sentence) {
      for (int word = 0; word < 12; ++word) {
        const uint32_t kind = random() % 4 == 0 ? random() % 900 : random() % 30;
        text << (word == 0 ? "The" : " w") << static_cast<char>('a' + kind % 26)
             << static_cast<char>('a' + kind / 26 % 26) << kind % 7;
      }
      text << ".\n";
    }
    text << '\n';
  }
  return text.str();
}

class FunnelShard : public ::testing::Test {
 protected:
  FunnelShard() { folder_.file("text/a.txt", text_of(200)); }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  std::string make_vocab() {
    return expect_works(concat("vocab --size 300 --output ", at("v.txt"), " ", at("text")));
  }
  std::string make_data(const std::string& options = "") {
    return expect_works(concat("build --vocab ", at("v.txt"), " --output ", at("data"),
                               " --seq-len 32 --shard-rows 256 --chunk-rows 64 ", options, " ",
                               at("text")));
  }

  std::string make_data_again(const std::string& options) {
    std::filesystem::remove_all(folder_ / "data");
    return make_data(options);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(FunnelShard, TextToVerifiedShards) {
  EXPECT_NE(make_vocab().find("300 pieces"), std::string::npos);
  const std::string built = make_data("--held-out 0.1 --seed 5");
  EXPECT_NE(built.find("MB/s"), std::string::npos);
  const DataSet data = DataSet::open(folder_ / "data");
  const DataSet held_out = DataSet::open(folder_ / "data/held_out");
  EXPECT_EQ(data.index().seed, 5u);
  EXPECT_GT(data.index().shards.size(), 1u);
  EXPECT_EQ(data.index().source, "a.txt");
  // A tenth of 200 documents, standard deviation 4.2.
  const double share = static_cast<double>(held_out.index().tokens) /
                       static_cast<double>(held_out.index().tokens + data.index().tokens);
  EXPECT_NEAR(share, 0.1, 0.09);
  EXPECT_NE(expect_works("verify " + at("data")).find("held_out"), std::string::npos);
  const std::string info = expect_works("info --examples 2 " + at("data"));
  for (const char* part : {"examples", "vocabulary        300", "  A, ", "  B, ", "held_out"}) {
    EXPECT_NE(info.find(part), std::string::npos) << part << " in: " << info;
  }
}

// The examples of a shard are those of the folder, by the same numbers.
TEST_F(FunnelShard, InfoShowsChosenExamplesAndShards) {
  make_vocab();
  make_data();
  const DataSet data = DataSet::open(folder_ / "data");
  const auto example_of = [](const std::string& info) {
    return info.substr(info.find("\nexample "));
  };
  const int64_t first = data.index().shards[0].rows, chosen = first + 70;
  const std::string from_folder =
      expect_works(concat("info --example 3 --example ", chosen, " ", at("data")));
  EXPECT_NE(from_folder.find("\nexample 3\n"), std::string::npos);
  const std::string shard = at("data/shard-00001.h5");
  const std::string from_shard = expect_works(concat("info --example ", chosen, " ", shard));
  EXPECT_NE(from_shard.find(data.index().shards[1].sha256), std::string::npos);
  EXPECT_NE(from_shard.find(concat("examples          ", data.index().shards[1].rows, " of 32")),
            std::string::npos);
  EXPECT_TRUE(from_folder.ends_with(example_of(from_shard)));
  // Decoded by hand: a row's pieces, with "##" as a bar.
  std::vector<int32_t> ids(64 * 32), lengths(64);
  data.read_chunk(chosen / 64, Tensor(ids.data(), {64, 32}, DType::i32),
                  Tensor(lengths.data(), {64}, DType::i32));
  std::string words;
  for (int64_t i = 1; i <= lengths[chosen % 64]; ++i) {
    const std::string& piece = data.vocabulary().piece(ids[chosen % 64 * 32 + i]);
    if (piece.starts_with("##")) {
      words.append("|").append(piece, 2);
    } else {
      words.append(words.empty() ? "" : " ").append(piece);
    }
  }
  std::string shown = example_of(from_shard);
  shown = shown.substr(shown.find(" words\n    ") + 11);
  shown = shown.substr(0, shown.find("\n  <sep>"));
  for (size_t at; (at = shown.find("\n    ")) != std::string::npos;) shown.replace(at, 5, " ");
  EXPECT_EQ(shown, words);
  expect_fails(concat("info --example ", first - 1, " ", shard), {"--example", concat(first)});
  expect_fails(concat("info --example ", data.examples(), " ", at("data")), {"--example"});
  std::filesystem::copy_file(shard, folder_ / "data/other.h5");
  expect_fails(concat("info ", at("data/other.h5")),
               {"other.h5", "index.textproto", "no such shard"});
  expect_fails(concat("info ", at("nothing")), {"nothing"});
}

TEST_F(FunnelShard, PacksInThreeWays) {
  make_vocab();
  const std::pair<std::string, std::string> modes[] = {
      {"pairs", "segment_pairs"}, {"sentences", "sentences"}, {"electra", "electra"}};
  for (const auto& [option, name] : modes) {
    std::filesystem::remove_all(folder_ / "data");
    const std::string built = make_data(concat("--held-out 0.1 --passes 2 --packing ", option));
    const DataSet data = DataSet::open(folder_ / "data");
    EXPECT_EQ(name_of(data.index().packing), name);
    EXPECT_EQ(DataSet::open(folder_ / "data/held_out").index().packing, data.index().packing);
    const std::string report = read_text_file(folder_ / "data/report.txt");
    EXPECT_NE(report.find(concat("packing           ", name, ", 2 passes")), std::string::npos);
    EXPECT_NE(built.find(report), std::string::npos) << built;
    EXPECT_TRUE(std::filesystem::exists(folder_ / "data/held_out/report.txt"));
    EXPECT_EQ(report.find("padding           0,") != std::string::npos, option == "pairs");
    EXPECT_NE(report.find(concat("text              ", data.index().tokens, " tokens")),
              std::string::npos);
    if (option == "sentences") {
      // Every token once in each pass.
      EXPECT_NE(report.find(concat("tokens of text    ", 2 * data.index().tokens, "\n")),
                std::string::npos);
    }
    expect_works("verify " + at("data"));
    const std::string info = expect_works("info --examples 4 " + at("data"));
    EXPECT_EQ(info.find("  B, ") == std::string::npos, option == "sentences");
  }
  expect_fails(concat("build --packing both --vocab ", at("v.txt"), " --output ", at("other"), " ",
                      at("text")),
               {"--packing", "both"});
}

TEST_F(FunnelShard, SameTextGivesSameBytes) {
  make_vocab();
  make_data("--passes 2");
  const std::string first = read_text_file(folder_ / "data/index.textproto");
  std::filesystem::remove_all(folder_ / "data");
  make_data("--passes 2");
  EXPECT_EQ(read_text_file(folder_ / "data/index.textproto"), first);
  std::filesystem::remove_all(folder_ / "data");
  make_data("--passes 1");
  EXPECT_NE(read_text_file(folder_ / "data/index.textproto"), first);
}

// Where a shard's dataset stores its rows: the library's own word.
int64_t offset_of_row(const std::filesystem::path& shard, const char* dataset, int64_t row) {
  const H5ChunkTable table = H5File::open(shard).chunk_table(dataset);
  return table.offsets[row / table.chunk_rows] +
         row % table.chunk_rows * table.columns * table.element_bytes;
}

TEST_F(FunnelShard, VerifyNamesTheDamage) {
  make_vocab();
  make_data("--held-out 0.2");
  const std::filesystem::path shard = folder_ / "data/shard-00001.h5";
  const std::vector<char> sound = read_file(shard);
  const auto write_flipped = [&](const std::vector<int64_t>& offsets) {
    std::vector<char> damaged = sound;
    for (const int64_t offset : offsets) damaged[offset] ^= 4;
    write_durably(shard, damaged);
  };
  const std::string verify = "verify " + at("data");
  const std::string rows = "'input_ids', rows 64 to 127: expected checksum";
  write_flipped({offset_of_row(shard, kInputIds, 70)});
  expect_fails(verify, {"shard-00001.h5", "SHA-256", rows, "2 problems"}, 93);
  // Several damages, in several places, all at once.
  std::filesystem::remove(folder_ / "data/held_out/shard-00000.h5");
  write_flipped({offset_of_row(shard, kInputIds, 70), offset_of_row(shard, kInputIds, 200),
                 offset_of_row(shard, kSegmentALength, 3)});
  expect_fails(verify + " --threads 3",
               {rows, "'input_ids', rows 192 to 255:", "'segment_a_length', rows 0 to 255:",
                "shard-00000.h5: the index lists this shard, but: No such file", "5 problems"},
               93);
  make_data_again("--held-out 0.2");
  write_flipped({static_cast<int64_t>(sound.size()) - 1});
  expect_fails(verify, {"SHA-256", "every row is sound", "1 problem"}, 93);
  write_flipped({8});  // the superblock's version
  expect_fails(verify, {"SHA-256", "shard-00001.h5: cannot read it as an HDF5 file"}, 93);
  write_durably(shard, std::span(sound).first(sound.size() / 2));
  expect_fails(verify, {"shard-00001.h5", "bytes"}, 93);
  std::filesystem::remove(shard);
  expect_fails(verify, {"shard-00001.h5", "No such file"}, 93);
  write_durably(shard, sound);
  expect_works(verify);
  write_durably(folder_ / "data/shard-00099.h5", sound);
  expect_fails(verify, {"shard-00099.h5", "does not list"}, 93);
}

TEST_F(FunnelShard, BadInputIsNamed) {
  make_vocab();
  const std::string build = concat("build --vocab ", at("v.txt"), " --output ", at("data"), " ");
  folder_.file("bad.txt", "fine\nnot \xff fine\n");
  expect_fails(build + at("bad.txt"), {"bad.txt:2", "UTF-8", "offset 4"});
  expect_fails(concat("vocab --output ", at("w.txt"), " ", at("bad.txt")), {"bad.txt:2", "UTF-8"});
  expect_fails(build + "/nowhere.txt", {"/nowhere.txt"});
  expect_fails(build + "--held-out 2 " + at("text"), {"--held-out", "found 2"});
  expect_fails(build + "--seq-len 4 " + at("text"), {"seq_len", "found 4"});
  expect_fails(build + "--seqlen 4 " + at("text"), {"--seqlen"});
  expect_fails("build " + at("text"), {"--vocab"});
  expect_fails("", {"subcommand"});
  expect_fails("verify /nowhere", {"/nowhere"});
  expect_fails("info " + at("text"), {"index.textproto"});
  folder_.file("short.txt", "too short\n");
  expect_fails(build + at("short.txt"), {"too short"});
  folder_.file("no_specials.txt", "a\nb\n");
  expect_fails(
      concat("build --vocab ", at("no_specials.txt"), " --output ", at("data"), " ", at("text")),
      {"no_specials.txt", "<pad>", "[PAD]"});
  expect_fails(concat("vocab --size 10 --output ", at("w.txt"), " ", at("text")),
               {"vocabulary size", "found 10"});
  make_data();
  expect_fails(build + at("text"), {"already holds"});
}

TEST_F(FunnelShard, EncodesLines) {
  const auto encode = [this](const std::string& text, const std::string& options = "") {
    folder_.file("lines.txt", text);
    return expect_works(
        concat("encode --vocab ", at("w.txt"), " ", options, " < ", at("lines.txt")));
  };
  folder_.file("w.txt", "<pad>\n<unk>\n<cls>\n<sep>\n<mask>\na\n##b\nE\ne\né\n,\n");
  EXPECT_EQ(encode("a, ab É\n\n  \nx\n"), "5 10 5 6 8\n\n\n1\n");
  EXPECT_EQ(encode("a, ab É\nx", "--pieces"), "a , a ##b e\n<unk>\n");
  EXPECT_EQ(encode("É é E", "--keep-accents"), "9 9 8\n");
  EXPECT_EQ(encode("É é E", "--cased"), "1 9 7\n");
  EXPECT_EQ(encode("É é E", "--cased --strip-accents"), "7 8 7\n");
  EXPECT_EQ(encode("ab abb", "--max-word-chars 2"), "5 6 1\n");
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("\n"), "\n");
  // Longer than any block that is read at once.
  std::string words, ids;
  for (int i = 0; i < 1'000'000; ++i) words += "a ", ids += i == 0 ? "5" : " 5";
  EXPECT_EQ(encode(words + "\nab\n" + words), ids + "\n5 6\n" + ids + "\n");
}

TEST_F(FunnelShard, EncodeNamesWhatItCannotDo) {
  folder_.file("w.txt", "<pad>\n<unk>\n<cls>\n<sep>\n<mask>\na\n");
  folder_.file("lines.txt", "a\n\nab\xffz\na\n");
  const std::string encode = concat("encode --vocab ", at("w.txt"), " < ", at("lines.txt"));
  // What came before is written.
  expect_fails(encode, {"5\n\nfunnel-shard: ", "standard input:3", "offset 2"});
  const Outcome full =
      run(concat("encode --vocab ", at("w.txt"), " < ", at("w.txt"), " >/dev/full"));
  EXPECT_EQ(full.exit_code, 1);
  expect_fails("encode", {"--vocab"});
}

TEST_F(FunnelShard, HelpIsComplete) {
  const std::string help = expect_works("--help");
  for (const char* command : {"vocab", "build", "encode", "verify", "info"}) {
    EXPECT_NE(help.find(command), std::string::npos);
    EXPECT_NE(expect_works(concat(command, " --help")).find("REQUIRED"), std::string::npos);
  }
}

}  // namespace
}  // namespace funnel
