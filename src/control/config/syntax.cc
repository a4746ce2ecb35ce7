#include "control/config/syntax.h"

#include <fmt/format.h>

#include <utility>

#include "control/config/lexer.h"

namespace fairlead::control {
namespace {

class Parser {
 public:
  Parser(std::string_view text, Diagnostics& diagnostics)
      : lexer_(text, diagnostics), diagnostics_(diagnostics), token_(lexer_.next()) {}

  std::vector<Statement> file() {
    std::vector<Statement> out;
    statements(out, 0);
    while (at(Kind::kCloseBrace)) {
      diagnostics_.error(token_.at, R"(found "}" where no block is open)");
      advance();
      statements(out, 0);
    }
    return out;
  }

 private:
  using Kind = Token::Kind;

  bool at(Kind kind) const { return token_.kind == kind; }
  void advance() { token_ = lexer_.next(); }

  // Everything up to a "}" that is not its own, or the end of the file.
  void statements(std::vector<Statement>& out, size_t depth) {
    for (;;) {
      switch (token_.kind) {
        case Kind::kSemicolon:
        case Kind::kNewline:
          advance();
          break;
        case Kind::kWord:
          statement(out, depth);
          break;
        case Kind::kOpenBrace:
          diagnostics_.error(token_.at, R"(found "{" with no keyword before it)");
          nameless_block(depth);
          break;
        case Kind::kCloseBrace:
        case Kind::kEndOfFile:
          return;
      }
    }
  }

  void statement(std::vector<Statement>& out, size_t depth) {
    if (++count_ > SyntaxLimits::kMaxStatements) {
      give_up(fmt::format("found more than {} statements", SyntaxLimits::kMaxStatements));
      return;
    }
    if (token_.quoted) {
      diagnostics_.error(token_.at, fmt::format("found the string {}; expected a keyword",
                                                in_quotes(token_.text)));
    }
    Statement read;
    read.keyword = take_word();
    arguments(read);
    while (at(Kind::kNewline)) advance();  // the "{" may stand on a line below
    if (at(Kind::kOpenBrace)) block(read, depth);
    out.push_back(std::move(read));
  }

  void arguments(Statement& out) {
    while (at(Kind::kWord)) {
      if (out.arguments.size() == SyntaxLimits::kMaxArguments) {
        diagnostics_.error(token_.at,
                           fmt::format("found more than {} arguments for {}",
                                       SyntaxLimits::kMaxArguments, in_quotes(out.keyword.text)));
        while (at(Kind::kWord)) advance();
        return;
      }
      out.arguments.push_back(take_word());
    }
  }

  void block(Statement& owner, size_t depth) {
    if (depth == SyntaxLimits::kMaxDepth) {
      give_up(fmt::format("found blocks nested deeper than {}", SyntaxLimits::kMaxDepth));
      return;
    }
    owner.has_block = true;
    advance();
    statements(owner.children, depth + 1);
    if (at(Kind::kCloseBrace)) {
      advance();
    } else if (!gave_up_) {
      diagnostics_.error(
          token_.at, fmt::format(R"(found the end of the file; expected "}}" for {} of line {})",
                                 in_quotes(owner.keyword.text), owner.keyword.at.line));
    }
  }

  void nameless_block(size_t depth) {
    Statement ignored{
        .keyword = {"{", token_.at}, .arguments = {}, .has_block = true, .children = {}};
    block(ignored, depth);
  }

  Word take_word() {
    Word word{std::move(token_.text), token_.at};
    advance();
    return word;
  }

  // Past a bound nothing more is read: the rest would only be noise.
  void give_up(std::string message) {
    diagnostics_.error(token_.at, std::move(message));
    gave_up_ = true;
    token_ = Token{.kind = Kind::kEndOfFile, .at = token_.at, .text = {}, .quoted = false};
  }

  Lexer lexer_;
  Diagnostics& diagnostics_;
  Token token_;
  size_t count_ = 0;
  bool gave_up_ = false;
};

}  // namespace

std::vector<Statement> parse_syntax(std::string_view text, Diagnostics& diagnostics) {
  if (text.size() > SyntaxLimits::kMaxFile) {
    diagnostics.error({}, fmt::format("found {} bytes; expected a configuration of at most {}",
                                      text.size(), SyntaxLimits::kMaxFile));
    return {};
  }
  return Parser(text, diagnostics).file();
}

}  // namespace fairlead::control
