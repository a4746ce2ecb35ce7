#include "control/config/schema.h"

#include <fmt/format.h>

#include <utility>

#include "control/config/suggest.h"

namespace fairlead::control {

BlockChecker::BlockChecker(std::string_view name, std::vector<std::string_view> keywords,
                           Diagnostics& diagnostics)
    : name_(name),
      keywords_(std::move(keywords)),
      seen_(keywords_.size()),
      diagnostics_(diagnostics) {}

size_t BlockChecker::find(const Statement& statement) {
  const std::string& found = statement.keyword.text;
  for (size_t i = 0; i < keywords_.size(); ++i) {
    if (keywords_[i] == found) return i;
  }
  const std::string_view near = closest(found, keywords_);
  const std::string where = name_.empty() ? "" : fmt::format(" in {}", name_);
  diagnostics_.error(statement.keyword.at,
                     near.empty() ? fmt::format("unknown word {}{}; expected one of: {}",
                                                in_quotes(found), where, fmt::join(keywords_, ", "))
                                  : fmt::format("unknown word {}{}; did you mean \"{}\"?",
                                                in_quotes(found), where, near));
  return keywords_.size();
}

bool BlockChecker::admit(const Statement& statement, size_t index, Occurs occurs, HasBlock block,
                         std::string_view usage) {
  const Word& keyword = statement.keyword;
  if (occurs == Occurs::kOnce && seen_[index].line != 0) {
    diagnostics_.error(keyword.at, fmt::format("found {} a second time; it is already in line {}",
                                               in_quotes(keyword.text), seen_[index].line));
    return false;
  }
  seen_[index] = keyword.at;
  if (statement.has_block && block == HasBlock::kNo) {
    diagnostics_.error(keyword.at, fmt::format("found a block after {}; expected \"{}\"",
                                               in_quotes(keyword.text), usage));
    return false;
  }
  return true;
}

}  // namespace fairlead::control
