#include "service/switch/core/idle_connections.h"

#include <utility>

namespace fairlead::l7 {

std::optional<TcpSocket> IdleConnections::take(const balance::Server& server) {
  const auto found = waiting_.find(&server);
  if (found == waiting_.end()) return std::nullopt;
  std::vector<Waiting>& list = found->second;
  while (!list.empty()) {
    TcpSocket socket = std::move(list.back().socket);
    list.pop_back();
    if (is_good(socket)) return socket;
  }
  return std::nullopt;
}

void IdleConnections::put(const balance::Server& server, TcpSocket socket) {
  std::vector<Waiting>& list = waiting_[&server];
  if (list.size() == kMaxPerServer) list.erase(list.begin());
  socket.set_deadline(Time::max());
  list.push_back({.socket = std::move(socket), .since = scheduler_.now()});
}

void IdleConnections::expire() {
  const Time limit = scheduler_.now() - kMaxIdle;
  for (auto& [server, list] : waiting_) {
    std::erase_if(list, [limit](const Waiting& waiting) {
      return waiting.since < limit || !is_good(waiting.socket);
    });
  }
}

}  // namespace fairlead::l7
