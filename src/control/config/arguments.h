// Arguments: a statement's arguments, read one after the other into typed values.
//
//   Arguments in(statement, "send_buffer MIN MAX", diagnostics);
//   in.size("MIN", {.min = 4096, .max = kMax}, out.send_buffer_min);
//   in.size("MAX", {.min = 4096, .max = kMax}, out.send_buffer_max);
//   in.finish();
//
// Each reader takes the next argument and stores its value only when it is right. The first mistake
// of a statement is reported with its place, what was found and what was expected; the readers
// after it do nothing, so one mistake gives one line.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/time.h"
#include "control/config/diagnostics.h"
#include "control/config/syntax.h"
#include "wire/address.h"

namespace fairlead::control {

/// Both ends are allowed values.
template <typename T>
struct Range {
  T min;
  T max;
};

class Arguments {
 public:
  /// `usage` is how the directive is written, for error messages. All must outlive the object.
  Arguments(const Statement& statement, std::string_view usage, Diagnostics& diagnostics)
      : statement_(statement), usage_(usage), diagnostics_(diagnostics) {}

  /// True when arguments are left and nothing was wrong so far.
  bool more() const { return ok_ && next_ < statement_.arguments.size(); }
  bool ok() const { return ok_; }
  /// Where the argument stands that was read last, or the keyword before the first.
  Position last_at() const;

  /// A whole number. range.max must fit `out`.
  template <typename T>
  void number(std::string_view name, Range<uint64_t> range, T& out) {
    uint64_t value = 0;
    if (read_number(name, range, value)) out = static_cast<T>(value);
  }
  /// Bytes: a whole number with an optional k, M or G (powers of 1024). range.max must fit `out`.
  template <typename T>
  void size(std::string_view name, Range<uint64_t> range, T& out) {
    uint64_t value = 0;
    if (read_size(name, range, value)) out = static_cast<T>(value);
  }
  /// A whole number with one of us, ms, s, m, h.
  void duration(std::string_view name, Range<Duration> range, Duration& out);
  /// An IPv4 or IPv6 address.
  void address(std::string_view name, IpAddress& out);
  /// One of `words`; stores its index.
  void choice(std::string_view name, std::span<const std::string_view> words, size_t& out);
  /// `words` are the enumerators' names, in their order.
  template <typename Enum>
    requires std::is_enum_v<Enum>
  void choice(std::string_view name, std::span<const std::string_view> words, Enum& out) {
    auto index = static_cast<size_t>(out);
    choice(name, words, index);
    out = static_cast<Enum>(index);
  }
  /// "on" or "off".
  void on_off(bool& out);
  /// Any word or string that is not empty.
  void text(std::string_view name, std::string& out);

  /// Reports an error of the directive's own at the argument read last.
  void reject(std::string message);
  /// Reports what is left over. Returns ok().
  bool finish();

 private:
  bool read_number(std::string_view name, Range<uint64_t> range, uint64_t& out);
  bool read_size(std::string_view name, Range<uint64_t> range, uint64_t& out);
  const Word* take(std::string_view name);
  void wrong(const Word& found, std::string_view name, std::string_view expected);

  const Statement& statement_;
  std::string_view usage_;
  Diagnostics& diagnostics_;
  size_t next_ = 0;
  bool ok_ = true;
};

}  // namespace fairlead::control
