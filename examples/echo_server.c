/* A server of short connections on Fairlead's sockets: each request is sent back and the connection
 * closed, handshake and end left to the NIC stack.
 *
 *   cc -o echo_server echo_server.c -I... -L... -lfairlead    (doc/c_api.md)
 *   ./echo_server "interface eth0" 192.0.2.1 7
 *
 * SIGINT and SIGTERM end it. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fairlead.h"

enum { EVENTS = 64, REQUEST = 4096 };

static volatile sig_atomic_t stopping;

static void stop(int signal) {
  (void)signal;
  stopping = 1;
}

static int failed(const char* what) {
  fprintf(stderr, "echo_server: %s: %s\n", what, strerror(errno));
  return -1;
}

static int watch(fl_context* context, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  return fl_epoll_ctl(context, EPOLL_CTL_ADD, fd, &event);
}

static int listen_at(fl_context* context, const char* address, const char* port) {
  const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                 .ai_socktype = SOCK_STREAM};
  const int on = 1;
  struct addrinfo* at;
  const int error = getaddrinfo(address, port, &hints, &at);
  if (error != 0) {
    fprintf(stderr, "echo_server: %s %s: %s\n", address, port, gai_strerror(error));
    return -1;
  }
  const int fd = fl_socket(context, at->ai_family, at->ai_socktype, 0);
  const int bound = fl_bind(context, fd, at->ai_addr, at->ai_addrlen);
  freeaddrinfo(at);
  if (fd < 0 || bound != 0) return failed("fl_bind");
  if (fl_setsockopt(context, fd, IPPROTO_TCP, TCP_SETUP_OFFLOAD, &on, sizeof on) != 0 ||
      fl_setsockopt(context, fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on) != 0 ||
      fl_setsockopt(context, fd, IPPROTO_TCP, TCP_TEARDOWN_OFFLOAD, &on, sizeof on) != 0) {
    return failed("fl_setsockopt");
  }
  if (fl_listen(context, fd, 1024) != 0) return failed("fl_listen");
  if (watch(context, fd) != 0) return failed("fl_epoll_ctl");
  return fd;
}

/* One request, one answer. A request that has not come whole is answered as far as it has; 0: it
 * has not begun to come. */
static int serve(fl_context* context, int fd) {
  char text[REQUEST];
  const ssize_t size = fl_read(context, fd, text, sizeof text);
  if (size < 0 && errno == EAGAIN) return 0;
  if (size > 0) fl_write(context, fd, text, (size_t)size);
  fl_close(context, fd);
  return 1;
}

/* A connection that was left to the NIC stack has its request already: read, answered and closed
 * now, it never has a full TCB. */
static void accept_all(fl_context* context, int listener) {
  int fd;
  while ((fd = fl_accept(context, listener, NULL, NULL)) >= 0) {
    if (!serve(context, fd) && watch(context, fd) != 0) fl_close(context, fd);
  }
}

int main(int count, char** arguments) {
  char why[1024];
  struct epoll_event events[EVENTS];
  const struct sigaction action = {.sa_handler = stop};
  if (count != 4) {
    fprintf(stderr, "usage: echo_server CONFIGURATION ADDRESS PORT\n");
    return 2;
  }
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);

  fl_host* host = fl_open(arguments[1], why, sizeof why);
  if (host == NULL) {
    fprintf(stderr, "echo_server: %s\n", why);
    return 1;
  }
  if (fl_context_count(host) != 1) {
    fprintf(stderr, "echo_server: found shards; expected one: this is a single thread\n");
    fl_close_host(host);
    return 1;
  }
  fl_context* context = fl_host_context(host, 0);
  const int listener = listen_at(context, arguments[2], arguments[3]);
  if (listener >= 0) {
    puts("ready");
    fflush(stdout);
  }
  while (listener >= 0 && !stopping) {
    /* Not without end: a signal that comes just before it sleeps does not wake it. */
    const int ready = fl_epoll_wait(context, events, EVENTS, 1000);
    if (ready < 0 && errno != EINTR) {
      failed("fl_epoll_wait");
      break;
    }
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.fd == listener) {
        accept_all(context, listener);
      } else {
        serve(context, events[i].data.fd);
      }
    }
  }
  fl_close_host(host);
  return listener >= 0 && stopping ? 0 : 1;
}
