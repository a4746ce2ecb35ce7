// Socket: what a descriptor of a Context stands for.
#pragma once

#include <sys/epoll.h>

#include <cstdint>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "host/stack.h"

namespace fairlead::api {

class Socket;
struct ReadyTag {};
/// Those of which something may have to be told.
using ReadySockets = IntrusiveList<Socket, ReadyTag>;

class Socket final : public host::Observer, public ListHook<ReadyTag> {
 public:
  enum class Kind : uint8_t { kUnused, kNew, kListener, kConnection };

  Socket(ReadySockets& ready, int number) : fd(number), ready_(ready) {}

  const int fd;
  Kind kind = Kind::kUnused;
  bool bound = false;
  bool read_shut = false;
  bool linger = false;  // SO_LINGER
  bool cork = false;
  bool error_told = false;  // by SO_ERROR
  bool watched = false;     // in the epoll set
  bool disarmed = false;    // EPOLLONESHOT, told
  int domain = 0;
  int linger_seconds = 0;
  Endpoint local;               // as bound, or listened to
  host::ListenOptions options;  // this socket's, or of those it accepts
  host::Listener* listener = nullptr;
  host::Connection* connection = nullptr;
  epoll_event watch{};

  /// What epoll tells of it now, whatever it was asked for.
  uint32_t readiness() const;
  /// Its readiness may have changed.
  void look() {
    if (watched && !ReadySockets::is_linked(*this)) ready_.push_back(*this);
  }
  void on_events(uint8_t) override { look(); }

 private:
  ReadySockets& ready_;
};

/// SO_ERROR: reading it clears it.
int take_error(Socket& socket);
/// setsockopt(). 0, ENOPROTOOPT, EINVAL.
int set_option(Socket& socket, host::Stack& stack, int level, int name, ByteSpan value);
/// getsockopt(): how many bytes, or an errno value, negative.
int get_option(Socket& socket, int level, int name, MutableByteSpan value);

}  // namespace fairlead::api
