// Diagnostics: what is wrong in a configuration file, all of it at once, each with its place.
//
// A user repairs a file faster when one run names every mistake, so readers report here and go on.
// The list is bounded: beyond kMaxErrors further ones are only counted, because a file that is not
// a configuration at all would otherwise print thousands.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::control {

/// A place in a file; both count from 1, columns in bytes. 0:0 is "the file as a whole".
struct Position {
  uint32_t line = 0;
  uint32_t column = 0;

  friend auto operator<=>(Position, Position) = default;
};

class Diagnostics {
 public:
  static constexpr size_t kMaxErrors = 20;

  /// `file` is the name users know the text by.
  explicit Diagnostics(std::string file) : file_(std::move(file)) {}

  /// Adds one error: what was found, what was expected. The message is one line.
  void error(Position at, std::string message);

  bool ok() const { return errors_.empty(); }
  size_t count() const { return errors_.size() + not_shown_; }

  /// One line per error, "file:line:column: message", in order of position, without a newline.
  std::vector<std::string> lines() const;
  /// The lines joined by newlines.
  std::string to_string() const;

 private:
  struct Entry {
    Position at;
    std::string message;
  };

  std::string file_;
  std::vector<Entry> errors_;  // in order of position
  size_t not_shown_ = 0;
};

/// Text from a file in quotes, fit for a terminal: control characters as \xHH, cut after 60 bytes.
std::string in_quotes(std::string_view text);

}  // namespace fairlead::control
