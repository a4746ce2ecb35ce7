#include "control/config/lexer.h"

#include <fmt/format.h>

namespace fairlead::control {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && !is_blank(c) && c != '\n') || byte == 0x7f;
}

bool ends_word(char c) {
  return is_blank(c) || is_control(c) || c == '\n' || c == ';' || c == '{' || c == '}' || c == '"';
}

}  // namespace

void Lexer::advance() {
  if (peek() == '\n') {
    ++at_.line;
    at_.column = 1;
  } else {
    ++at_.column;
  }
  ++offset_;
}

void Lexer::skip_blank_and_comments() {
  while (!at_end()) {
    if (is_blank(peek())) {
      advance();
    } else if (is_control(peek())) {
      diagnostics_.error(at_, fmt::format("found control character 0x{:02x}; expected text",
                                          static_cast<unsigned char>(peek())));
      while (!at_end() && is_control(peek())) advance();  // one error for a run of them
    } else if (peek() == '!' || peek() == '#') {
      while (!at_end() && peek() != '\n') advance();
    } else {
      return;
    }
  }
}

Token Lexer::next() {
  skip_blank_and_comments();
  Token token;
  token.at = at_;
  if (at_end()) return token;
  switch (peek()) {
    case '{':
      token.kind = Token::Kind::kOpenBrace;
      break;
    case '}':
      token.kind = Token::Kind::kCloseBrace;
      break;
    case ';':
      token.kind = Token::Kind::kSemicolon;
      break;
    case '\n':
      token.kind = Token::Kind::kNewline;
      break;
    case '"':
      return quoted_word();
    default:
      return word();
  }
  advance();
  return token;
}

Token Lexer::word() {
  Token token{.kind = Token::Kind::kWord, .at = at_, .text = {}, .quoted = false};
  const size_t begin = offset_;
  while (!at_end() && !ends_word(peek())) advance();
  token.text = text_.substr(begin, offset_ - begin);
  bound(token);
  return token;
}

// After a backslash. Nothing when the line ends here.
std::optional<char> Lexer::escaped() {
  const Position backslash_at = at_;
  advance();
  if (at_end() || peek() == '\n') return std::nullopt;
  const char c = peek();
  advance();
  switch (c) {
    case '"':
    case '\\':
      return c;
    case 'n':
      return '\n';
    case 't':
      return '\t';
    default:
      diagnostics_.error(backslash_at, fmt::format(R"(found escape {}; expected \", \\, \n or \t)",
                                                   in_quotes(std::string{'\\', c})));
      return c;
  }
}

Token Lexer::quoted_word() {
  Token token{.kind = Token::Kind::kWord, .at = at_, .text = {}, .quoted = true};
  advance();
  while (!at_end() && peek() != '\n' && peek() != '"') {
    if (peek() == '\\') {
      const std::optional<char> c = escaped();
      if (!c) break;
      token.text += *c;
    } else {
      token.text += peek();
      advance();
    }
  }
  if (!at_end() && peek() == '"') {
    advance();
  } else {
    diagnostics_.error(token.at,
                       "found a string that does not end on its line; expected a closing \"");
  }
  bound(token);
  return token;
}

void Lexer::bound(Token& token) {
  if (token.text.size() <= kMaxWord) return;
  diagnostics_.error(token.at, fmt::format("found a word of {} bytes; expected at most {}",
                                           token.text.size(), kMaxWord));
  token.text.resize(kMaxWord);
}

}  // namespace fairlead::control
