#include "port/netlink_socket.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace fairlead::port {
namespace {

/// The kernel packs dump answers into datagrams of at most 32 KiB.
constexpr size_t kBufferSize = 32 * 1024;
using MessageBuffer = std::array<char, kBufferSize>;

/// A dump during which the tables changed is asked for again, this often.
constexpr int kMaxDumpAttempts = 8;
/// Bytes of notifications that may wait between two calls of receive().
constexpr int kReceiveBuffer = 4 << 20;

std::unexpected<Error> netlink_failed(const char* what, int error) {
  return fail(errc_from_errno(error),
              std::string("netlink: ") + what + ": " + std::strerror(error));
}

int call_handler(const nlmsghdr* message, void* handler) {
  (*static_cast<const NetlinkSocket::Handler*>(handler))(*message);
  return MNL_CB_OK;
}

int run_callbacks(MessageBuffer& buffer, size_t size, uint32_t sequence, unsigned port,
                  const NetlinkSocket::Handler& handle) {
  return mnl_cb_run(buffer.data(), size, sequence, port, call_handler,
                    const_cast<NetlinkSocket::Handler*>(&handle));
}

}  // namespace

Result<NetlinkSocket> NetlinkSocket::open(uint32_t groups) {
  NetlinkSocket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (socket.socket_ == nullptr) return netlink_failed("socket", errno);
  if (mnl_socket_bind(socket.socket_.get(), groups, MNL_SOCKET_AUTOPID) != 0) {
    return netlink_failed("bind", errno);
  }
  const int size = kReceiveBuffer;
  // Refused only without CAP_NET_ADMIN; the default size then means more re-reads, nothing worse.
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  return socket;
}

Result<void> NetlinkSocket::ask(nlmsghdr& request, const Handler& handle) {
  const bool is_dump = (request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  MessageBuffer buffer;
  for (int attempt = 0; attempt < kMaxDumpAttempts; ++attempt) {
    request.nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), &request, request.nlmsg_len) < 0) {
      return netlink_failed("request", errno);
    }
    int outcome = MNL_CB_OK;
    do {
      const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
      if (size < 0) return netlink_failed("answer", errno);
      outcome = run_callbacks(buffer, static_cast<size_t>(size), sequence_,
                              mnl_socket_get_portid(socket_.get()), handle);
    } while (outcome == MNL_CB_OK && is_dump);
    if (outcome >= 0) return {};
    if (errno != EINTR) return fail(errc_from_errno(errno), std::strerror(errno));
  }
  return netlink_failed("the tables keep changing while they are read", EAGAIN);
}

Result<void> NetlinkSocket::receive(const Handler& handle, unsigned max_reads) {
  MessageBuffer buffer;
  for (unsigned i = 0; i < max_reads; ++i) {
    const ssize_t size = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (size < 0) return netlink_failed("notifications", errno);
    // Notifications carry foreign sequence numbers and port ids: 0 means "do not compare". An
    // error message in between answers a post(); there is nothing to do about it.
    if (run_callbacks(buffer, static_cast<size_t>(size), 0, 0, handle) < 0) continue;
  }
  return {};
}

void NetlinkSocket::discard() {
  MessageBuffer buffer;
  while (::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0 || errno == ENOBUFS ||
         errno == EINTR) {
  }
}

bool NetlinkSocket::post(const nlmsghdr& request) {
  return ::send(fd(), &request, request.nlmsg_len, MSG_DONTWAIT) >= 0;
}

}  // namespace fairlead::port
