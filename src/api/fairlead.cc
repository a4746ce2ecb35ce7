// The C functions: each a call of Host or Context, with errno.
#include "api/fairlead.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <string>

#include "api/context.h"
#include "api/host.h"
#include "api/sockaddr.h"
#include "control/config/config.h"

struct fl_host {
  std::unique_ptr<fairlead::api::Host> host;
};

namespace {

using fairlead::ByteSpan;
using fairlead::MutableByteSpan;
using fairlead::api::Context;
using fairlead::api::Outcome;

void tell(const std::string& message, char* why, size_t size) {
  if (why == nullptr || size == 0) return;
  why[message.copy(why, size - 1)] = '\0';
}

template <typename Parse>
fl_host* open_host(const Parse& parse, char* why, size_t size) {
  try {
    auto config = parse();
    if (!config) {
      tell(config.error().to_string(), why, size);
      errno = EINVAL;
      return nullptr;
    }
    auto host = fairlead::api::Host::open(std::move(*config));
    if (host) return new fl_host{std::move(*host)};
    tell(host.error().to_string(), why, size);
    errno = errno_of(host.error().code);
  } catch (const std::exception& error) {  // no memory, no thread
    tell(error.what(), why, size);
    errno = ENOMEM;
  }
  return nullptr;
}

fl_host* open_nothing(char* why, size_t size) {
  tell("found no configuration (NULL)", why, size);
  errno = EINVAL;
  return nullptr;
}

Context& of(fl_context* context) { return *reinterpret_cast<Context*>(context); }

template <typename T>
ssize_t result_of(const Outcome<T>& outcome) {
  if (!outcome) {
    errno = outcome.error();
    return -1;
  }
  if constexpr (std::is_void_v<T>) {
    return 0;
  } else {
    return static_cast<ssize_t>(*outcome);
  }
}

template <typename T>
int int_of(const Outcome<T>& outcome) {
  return static_cast<int>(result_of(outcome));
}

int refuse(int error) {
  errno = error;
  return -1;
}

int give_endpoint(const Outcome<fairlead::Endpoint>& endpoint, sockaddr* address, socklen_t* size) {
  if (!endpoint) return refuse(endpoint.error());
  fairlead::api::store(*endpoint, address, size);
  return 0;
}

ByteSpan bytes(const void* data, size_t size) { return {static_cast<const uint8_t*>(data), size}; }
MutableByteSpan bytes(void* data, size_t size) { return {static_cast<uint8_t*>(data), size}; }

}  // namespace

extern "C" {

fl_host* fl_open(const char* configuration, char* why, size_t why_size) {
  if (configuration == nullptr) return open_nothing(why, why_size);
  return open_host([&] { return fairlead::control::parse_config(configuration, "configuration"); },
                   why, why_size);
}

fl_host* fl_open_file(const char* path, char* why, size_t why_size) {
  if (path == nullptr) return open_nothing(why, why_size);
  return open_host([&] { return fairlead::control::load_config(path); }, why, why_size);
}

void fl_close_host(fl_host* host) { delete host; }

unsigned fl_context_count(const fl_host* host) {
  return static_cast<unsigned>(host->host->context_count());
}

fl_context* fl_host_context(fl_host* host, unsigned index) {
  return reinterpret_cast<fl_context*>(host->host->context(index));
}

int fl_socket(fl_context* context, int domain, int type, int protocol) {
  return int_of(of(context).socket(domain, type, protocol));
}

int fl_bind(fl_context* context, int fd, const sockaddr* address, socklen_t size) {
  const auto endpoint = fairlead::api::endpoint_of(address, size);
  return endpoint ? int_of(of(context).bind(fd, *endpoint)) : refuse(endpoint.error());
}

int fl_listen(fl_context* context, int fd, int backlog) {
  return int_of(of(context).listen(fd, backlog));
}

int fl_accept(fl_context* context, int fd, sockaddr* address, socklen_t* size) {
  const auto accepted = of(context).accept(fd);
  if (!accepted) return refuse(accepted.error());
  if (const auto remote = of(context).remote(*accepted)) {
    fairlead::api::store(*remote, address, size);
  }
  return *accepted;
}

int fl_connect(fl_context* context, int fd, const sockaddr* address, socklen_t size) {
  const auto endpoint = fairlead::api::endpoint_of(address, size);
  return endpoint ? int_of(of(context).connect(fd, *endpoint)) : refuse(endpoint.error());
}

ssize_t fl_read(fl_context* context, int fd, void* into, size_t size) {
  return result_of(of(context).read(fd, bytes(into, size)));
}

ssize_t fl_write(fl_context* context, int fd, const void* from, size_t size) {
  return result_of(of(context).write(fd, bytes(from, size)));
}

int fl_shutdown(fl_context* context, int fd, int how) {
  return int_of(of(context).shutdown(fd, how));
}

int fl_close(fl_context* context, int fd) { return int_of(of(context).close(fd)); }

int fl_getsockname(fl_context* context, int fd, sockaddr* address, socklen_t* size) {
  return give_endpoint(of(context).local(fd), address, size);
}

int fl_getpeername(fl_context* context, int fd, sockaddr* address, socklen_t* size) {
  return give_endpoint(of(context).remote(fd), address, size);
}

int fl_setsockopt(fl_context* context, int fd, int level, int name, const void* value,
                  socklen_t size) {
  if (value == nullptr) return refuse(EFAULT);
  return int_of(of(context).set_option(fd, level, name, bytes(value, size)));
}

int fl_getsockopt(fl_context* context, int fd, int level, int name, void* value, socklen_t* size) {
  if (value == nullptr || size == nullptr) return refuse(EFAULT);
  const auto got = of(context).option(fd, level, name, bytes(value, *size));
  if (!got) return refuse(got.error());
  *size = static_cast<socklen_t>(*got);
  return 0;
}

int fl_epoll_ctl(fl_context* context, int operation, int fd, epoll_event* event) {
  return int_of(of(context).control(operation, fd, event));
}

int fl_epoll_wait(fl_context* context, epoll_event* events, int max, int timeout) {
  if (max <= 0) return refuse(EINVAL);
  if (events == nullptr) return refuse(EFAULT);
  return int_of(of(context).wait({events, static_cast<size_t>(max)}, timeout));
}

int fl_nsplice(fl_context* context, int a, int b, fl_nsplice_callback* callback, void* argument) {
  return int_of(of(context).splice(a, b, callback, argument));
}

}  // extern "C"
