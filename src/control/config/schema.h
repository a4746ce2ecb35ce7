// The block language, second layer: which keywords a block knows, and how each is read into a typed
// value.
//
// A block is described by a constant table of Directives, one per keyword, each with a function
// that reads the statement's arguments (and block) into the block's struct T. read_block() does
// what is the same for all: unknown keywords with "did you mean", keywords given twice, blocks
// missing or unexpected, arguments left over. So a directive is one row, and its mistakes read like
// everyone else's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "control/config/arguments.h"
#include "control/config/diagnostics.h"
#include "control/config/syntax.h"

namespace fairlead::control {

enum class Occurs : uint8_t { kOnce, kRepeatedly };
enum class HasBlock : uint8_t { kNo, kMayHave };

/// What a directive's read function works with.
struct DirectiveInput {
  const Statement& statement;
  Arguments& arguments;
  Diagnostics& diagnostics;
};

template <typename T>
struct Directive {
  std::string_view keyword;
  std::string_view usage;  // as one writes it: "shards THREADS"
  Occurs occurs = Occurs::kOnce;
  HasBlock block = HasBlock::kNo;
  void (*read)(DirectiveInput& in, T& out) = nullptr;
};

/// What does not depend on T: finds keywords and reports misuse.
class BlockChecker {
 public:
  /// `name` is the block's keyword, for messages; empty at the top of the file.
  BlockChecker(std::string_view name, std::vector<std::string_view> keywords,
               Diagnostics& diagnostics);

  /// Index of the statement's keyword; keywords.size() after reporting an unknown one.
  size_t find(const Statement& statement);
  /// False after reporting a second use or a block where there may be none.
  bool admit(const Statement& statement, size_t index, Occurs occurs, HasBlock block,
             std::string_view usage);

 private:
  std::string_view name_;
  std::vector<std::string_view> keywords_;
  std::vector<Position> seen_;  // of the first use; line 0: none yet
  Diagnostics& diagnostics_;
};

/// Reads `statements` by `directives` into `out`. All mistakes go to `diagnostics`.
template <typename T>
void read_block(std::string_view name, std::span<const Statement> statements,
                std::span<const Directive<T>> directives, Diagnostics& diagnostics, T& out) {
  std::vector<std::string_view> keywords;
  for (const Directive<T>& directive : directives) keywords.push_back(directive.keyword);
  BlockChecker checker(name, std::move(keywords), diagnostics);
  for (const Statement& statement : statements) {
    const size_t index = checker.find(statement);
    if (index == directives.size()) continue;
    const Directive<T>& directive = directives[index];
    if (!checker.admit(statement, index, directive.occurs, directive.block, directive.usage)) {
      continue;
    }
    Arguments arguments(statement, directive.usage, diagnostics);
    DirectiveInput input{statement, arguments, diagnostics};
    directive.read(input, out);
    arguments.finish();
  }
}

}  // namespace fairlead::control
