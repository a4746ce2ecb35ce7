// Parser and documentation keep in step: the man page has each block's words and no others, and
// doc/configuration.md names all of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <ranges>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "control/config/config_test_helpers.h"

namespace fairlead::control {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using Words = std::set<std::string>;

/// Resembles nothing, so that the parser says all it knows there.
constexpr const char* kUnknown = "qqqqqqqqqqqqqqqq";

struct Block {
  std::string name;  // as the man page's .Ss
  std::string text;  // with kUnknown in the block
};

void PrintTo(const Block& block, std::ostream* out) { *out << block.name; }

std::string inside(std::string_view head) { return std::string(head) + " {\n" + kUnknown + "\n}"; }

const Block kBlocks[] = {
    {"Outside any block", kUnknown},
    {"interface", inside("interface test1")},
    {"aggregator", inside("aggregator")},
    {"echo_server", inside("echo_server 192.0.2.1 7")},
    {"tcp", inside("tcp")},
    {"virtual_server", server_with(kUnknown)},
    {"pool", inside("pool one")},
    {"real_server", server_with(inside("real_server 198.51.100.2 80"))},
    {"health_check",
     server_with("real_server 198.51.100.2 80 {\n" + inside("health_check tcp") + "\n}")},
    {"match", server_with(std::string("match ") + kUnknown)},
    {"schedule_hash", server_with(std::string("schedule_hash ") + kUnknown)},
};

/// What the parser has instead of kUnknown.
Words known_in(const Block& block) {
  const std::string errors = bad(block.text);
  constexpr std::string_view kExpected = "expected one of: ";
  const size_t at = errors.find(kExpected);
  EXPECT_NE(at, std::string::npos) << errors;
  if (at == std::string::npos) return {};
  const size_t begin = at + kExpected.size();
  std::istringstream words(errors.substr(begin, errors.find('\n', begin) - begin));
  Words out;
  for (std::string word; std::getline(words, word, ',');) {
    out.insert(word.substr(word.find_first_not_of(' ')));
  }
  return out;
}

std::ifstream open_document(const std::string& name) {
  std::ifstream file(std::string(FAIRLEAD_DOC) + "/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  return file;
}

/// The tags of a section's lists: `.It Ic WORD …` below `.Ss SECTION`.
Words in_man_page(const std::string& section) {
  Words out;
  std::ifstream file = open_document("fairlead.8");
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kTag = ".It Ic ";
    if (line.starts_with(".S")) here = line == ".Ss " + section;
    if (!here || !line.starts_with(kTag)) continue;
    const std::string tag = line.substr(kTag.size());
    out.insert(tag.substr(0, tag.find(' ')));
  }
  return out;
}

/// All that stands in backticks, word by word.
Words in_configuration_md() {
  Words out;
  std::ifstream file = open_document("configuration.md");
  for (std::string line; std::getline(file, line);) {
    bool code = false;
    for (const auto part : line | std::views::split('`')) {
      std::istringstream words(std::string(part.begin(), part.end()));
      for (std::string word; code && words >> word;) out.insert(word);
      code = !code;
    }
  }
  return out;
}

class Documentation : public testing::TestWithParam<Block> {};

TEST_P(Documentation, TheManPageHasEachWordAndNoOther) {
  Words known = known_in(GetParam());
  if (GetParam().name == "virtual_server") {
    // It has all that a pool has; the man page says so.
    const Words of_pool = in_man_page("pool");
    EXPECT_THAT(known, IsSupersetOf(of_pool));
    for (const std::string& word : of_pool) known.erase(word);
  }
  EXPECT_EQ(in_man_page(GetParam().name), known);
}

TEST_P(Documentation, TheConfigurationPageNamesEachWord) {
  const Words documented = in_configuration_md();
  for (const std::string& word : known_in(GetParam())) {
    EXPECT_THAT(documented, Contains(word));
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, Documentation, testing::ValuesIn(kBlocks), [](const auto& info) {
  std::string name = info.param.name;
  std::erase_if(name, [](char c) { return c == '_' || c == ' '; });
  return name;
});

}  // namespace
}  // namespace fairlead::control
