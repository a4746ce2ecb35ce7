// Session: one client of the control socket. Reads a line, has it answered, writes the reply, and
// only then looks at the next line, so it never holds more than one request and one reply.
#pragma once

#include <cstddef>
#include <string>

#include "base/time.h"
#include "base/unique_fd.h"
#include "control/socket/commands.h"

namespace fairlead::control {

class Session {
 public:
  /// No byte of a pending reply taken for this long: the client does not read, and is dropped.
  static constexpr Duration kWriteTimeout = seconds(5);
  /// No request for this long: dropped, so that sleepers can't use up the places.
  static constexpr Duration kIdleTimeout = seconds(60);

  enum class Outcome {
    kGoesOn,
    kEnded,    // the client closed, or the connection broke
    kTooLong,  // a request longer than kMaxRequest; an error was sent
  };

  /// `socket` is connected and non-blocking. `commands` must outlive the session.
  Session(UniqueFd socket, const CommandTable& commands, Time now)
      : socket_(std::move(socket)), commands_(commands), deadline_(now + kIdleTimeout) {}

  int fd() const { return socket_.get(); }
  /// True when it waits for the client to take a reply, false when it waits for a request.
  bool writing() const { return sent_ < out_.size(); }
  /// When the client has to have done something, or is dropped.
  Time deadline() const { return deadline_; }

  /// Goes on as far as the socket lets it.
  Outcome on_ready(Time now);

 private:
  // One step each; true when there is more to do at once.
  bool read_some(Time now);
  bool answer_line(Time now);
  bool write_some(Time now);
  void reply(const Result<Json>& result, Time now);

  UniqueFd socket_;
  const CommandTable& commands_;
  Time deadline_;
  std::string in_;
  std::string out_;
  size_t sent_ = 0;
  Outcome outcome_ = Outcome::kGoesOn;
};

}  // namespace fairlead::control
