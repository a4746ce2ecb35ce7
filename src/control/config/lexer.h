// Lexer: the words of the block language.
//
//   word        bytes up to white space, ';', '{', '}' or '"'
//   "string"    one word whatever it holds; escapes \" \\ \n \t; ends on its line
//   { } ;       themselves
//   newline     ends a statement, as ";" does
//   ! or #      where a word could begin: a comment up to the end of the line
//
// Inside a word ! and # are ordinary bytes ("a#b"). A control character is an error: such a file is
// no text. After an error the lexer goes on, so that later mistakes are found in the same run.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "control/config/diagnostics.h"

namespace fairlead::control {

struct Token {
  enum class Kind { kWord, kOpenBrace, kCloseBrace, kSemicolon, kNewline, kEndOfFile };

  Kind kind = Kind::kEndOfFile;
  Position at;
  std::string text;     // of a word, with escapes resolved
  bool quoted = false;  // the word was written in quotes: never a keyword
};

class Lexer {
 public:
  /// Longest word, bytes. Longer ones are reported and cut.
  static constexpr size_t kMaxWord = 4096;

  /// Both must outlive the lexer.
  Lexer(std::string_view text, Diagnostics& diagnostics) : text_(text), diagnostics_(diagnostics) {}

  /// The next token; kEndOfFile again and again at the end.
  Token next();

 private:
  bool at_end() const { return offset_ == text_.size(); }
  char peek() const { return text_[offset_]; }
  void advance();
  void skip_blank_and_comments();
  Token word();
  Token quoted_word();
  std::optional<char> escaped();
  void bound(Token& token);

  std::string_view text_;
  Diagnostics& diagnostics_;
  size_t offset_ = 0;
  Position at_{1, 1};
};

}  // namespace fairlead::control
