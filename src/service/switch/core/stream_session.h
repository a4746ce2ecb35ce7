// Sessions of protocols that are relayed as bytes from the first one on: tcp, for which a server is
// chosen at once, and tls, for which it is chosen by the ClientHello.
#pragma once

#include "service/switch/core/session.h"
#include "service/switch/protocol/client_hello.h"

namespace fairlead::l7 {

class StreamSession final : private FactsSource {
 public:
  explicit StreamSession(Session& session) : session_(session) {}
  Task<void> run();

 private:
  /// False: there is none; the session is over.
  Task<bool> read_client_hello();
  balance::RequestFacts facts() override;

  Session& session_;
  protocol::ClientHello hello_;
  std::vector<std::string_view> alpn_;
};

}  // namespace fairlead::l7
