// What everything of one Switch shares: its runtime, its counters, the list of its sessions, and
// scratch memory for heads, which is used between two suspensions only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/intrusive_list.h"
#include "service/switch/core/idle_connections.h"
#include "service/switch/core/records.h"
#include "service/switch/core/switch_counters.h"
#include "service/switch/protocol/forwarded_for.h"
#include "service/switch/protocol/http_head.h"
#include "socket/tcp_socket.h"

namespace fairlead::l7 {

class Session;
class SplicedSession;
struct SessionTag {};
struct SplicedTag {};

struct SharedState {
  explicit SharedState(Runtime r) : runtime(r), idle(r.scheduler) {}

  /// The first unread bytes of a socket in one piece: all of them, or kMaxHead if there are more.
  /// Valid until the next suspension.
  ByteSpan unread_bytes(const TcpSocket& socket);

  static constexpr size_t kMaxHead = protocol::HttpHeadParser::kMaxSize + 1;

  Runtime runtime;
  SwitchCounters counters;
  IdleConnections idle;
  IntrusiveList<Session, SessionTag> sessions;
  size_t session_count = 0;
  IntrusiveList<SplicedSession, SplicedTag> spliced;
  size_t spliced_count = 0;
  EventLog* events = nullptr;
  protocol::HttpHead head;  // of whoever parsed last
  std::vector<uint8_t> unread = std::vector<uint8_t>(kMaxHead);
  std::vector<uint8_t> rewritten = std::vector<uint8_t>(kMaxHead + protocol::kForwardedForRoom);
};

inline ByteSpan SharedState::unread_bytes(const TcpSocket& socket) {
  const ByteSpan first = socket.peek();
  if (first.size() == socket.unread() || first.size() >= kMaxHead) return first;
  return ByteSpan(unread).first(socket.copy_unread(unread));
}

}  // namespace fairlead::l7
