#include "host/offer.h"

#include "wire/tcp_options.h"

namespace fairlead::host {

Offer full_offer(const SocketOptions& options) {
  return {
      .ecn = options.ecn, .window_shift = window_shift_for(options), .mss_max = options.mss_max};
}

uint8_t window_shift_for(const SocketOptions& options) {
  uint8_t shift = 0;
  while (shift < wire::TcpOptions::kMaxWindowScale &&
         (options.receive_buffer_max >> shift) > 65535) {
    ++shift;
  }
  return shift;
}

}  // namespace fairlead::host
