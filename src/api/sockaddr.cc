#include "api/sockaddr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fairlead::api {

std::expected<Endpoint, int> endpoint_of(const sockaddr* address, socklen_t size) {
  if (address == nullptr || size < sizeof(sa_family_t)) return std::unexpected(EINVAL);
  sa_family_t family;
  std::memcpy(&family, address, sizeof family);
  if (family == AF_INET) {
    sockaddr_in in;
    if (size < sizeof in) return std::unexpected(EINVAL);
    std::memcpy(&in, address, sizeof in);
    return Endpoint{IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (family != AF_INET6) return std::unexpected(EAFNOSUPPORT);
  sockaddr_in6 in;
  if (size < sizeof in) return std::unexpected(EINVAL);
  std::memcpy(&in, address, sizeof in);
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
  return Endpoint{IpAddress::v6(bytes), ntohs(in.sin6_port)};
}

sockaddr_storage sockaddr_of(const Endpoint& endpoint) {
  sockaddr_storage out{};
  if (endpoint.address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = htonl(endpoint.address.v4_value());
    std::memcpy(&out, &in, sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(endpoint.port);
    std::memcpy(&in.sin6_addr, endpoint.address.bytes().data(), sizeof in.sin6_addr);
    std::memcpy(&out, &in, sizeof in);
  }
  return out;
}

void store(const Endpoint& endpoint, sockaddr* out, socklen_t* size) {
  if (out == nullptr || size == nullptr) return;
  const sockaddr_storage all = sockaddr_of(endpoint);
  const socklen_t whole = endpoint.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::memcpy(out, &all, std::min(*size, whole));
  *size = whole;
}

}  // namespace fairlead::api
