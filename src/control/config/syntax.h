// The block language, first layer: text to a tree of statements, without knowing any keyword.
//
//   statement  = word { word } ( end-of-statement | block )
//   block      = "{" { statement } "}"
//
//   virtual_server 192.0.2.1 80 {        keyword "virtual_server", two arguments, one child
//       real_server 198.51.100.1 80      ends with its line; ';' would do as well
//   }
//
// The "{" may stand on the line below. This is the language of keepalived and of layer7switch's
// switchd.conf. Meaning is the second layer's (schema.h).
//
// A file is hostile until proven otherwise: size, depth, number of statements and of arguments are
// bounded, and exceeding a bound is an error like any other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/diagnostics.h"

namespace fairlead::control {

struct Word {
  std::string text;
  Position at;
};

struct Statement {
  Word keyword;
  std::vector<Word> arguments;
  bool has_block = false;
  std::vector<Statement> children;
};

struct SyntaxLimits {
  static constexpr size_t kMaxFile = size_t{1} << 20;  // bytes
  static constexpr size_t kMaxDepth = 16;              // blocks in blocks
  static constexpr size_t kMaxStatements = 65536;      // in the whole file
  static constexpr size_t kMaxArguments = 64;          // of one statement
};

/// The statements of `text`. Mistakes go to `diagnostics`; what could be read is returned anyway,
/// so that the second layer can report on it too.
std::vector<Statement> parse_syntax(std::string_view text, Diagnostics& diagnostics);

}  // namespace fairlead::control
