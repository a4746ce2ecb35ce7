/* fairlead.h: TCP sockets over Fairlead's user-level stack, for C, in the manner of <sys/socket.h>
 * and <sys/epoll.h>.
 *
 *   fl_host *host = fl_open("interface eth0", why, sizeof why);
 *   fl_context *context = fl_host_context(host, 0);
 *   int listener = fl_socket(context, AF_INET, SOCK_STREAM, 0);
 *   fl_setsockopt(context, listener, IPPROTO_TCP, TCP_SETUP_OFFLOAD, &on, sizeof on);
 *   fl_bind(context, listener, address, size);
 *   fl_listen(context, listener, 1024);
 *   fl_epoll_ctl(context, EPOLL_CTL_ADD, listener, &event);
 *   while ((n = fl_epoll_wait(context, events, 64, -1)) >= 0) ...
 *
 * A host is this machine's interfaces; a context is one thread's TCP stack on them, with
 * descriptors and one epoll set of its own. Everything with a context is called by one thread at a
 * time, and nothing ever blocks but fl_epoll_wait(), where packets come and go: what is written
 * leaves when it is called next. Calls return what their namesakes return, -1 and errno on failure;
 * a descriptor that is none of the context's is EBADF, an argument that no socket takes EINVAL.
 * SIGPIPE is never raised.
 *
 * What is read, answered and closed between two calls of fl_epoll_wait() costs least: it is read
 * in the packet it came in, and never has a full TCB (doc/offload.md).
 */
#ifndef FAIRLEAD_H
#define FAIRLEAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FL_API __attribute__((visibility("default")))

/* NOLINTBEGIN(modernize-use-using): C */
typedef struct fl_host fl_host;
typedef struct fl_context fl_context;

/* Attaches to interfaces. `configuration` is text in the language of doc/configuration.md, without
 * services: "interface NAME" (one at least), "shards N" (contexts), "tcp { ... }" (every socket's
 * defaults), "local_ports", bounds. NULL: `why`, if not NULL, has one line for each mistake, cut to
 * `why_size` with its terminating zero. Needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF. */
FL_API fl_host* fl_open(const char* configuration, char* why, size_t why_size);
/* The same from a file. */
FL_API fl_host* fl_open_file(const char* path, char* why, size_t why_size);
/* Resets connections, forgets all contexts and detaches. What is spliced in the kernel goes on
 * there, and is reported as FL_NSPLICE_REMOVED. No thread may be using a context. NULL is ignored.
 */
FL_API void fl_close_host(fl_host* host);

/* How many contexts there are: "shards" of the configuration. */
FL_API unsigned fl_context_count(const fl_host* host);
/* Lives as long as the host. NULL: there are not so many. A connection belongs to the context that
 * its addresses hash to: a server with several contexts listens in each of them. */
FL_API fl_context* fl_host_context(fl_host* host, unsigned index);

/* domain: AF_INET or AF_INET6 (IPv6 alone); type: SOCK_STREAM, SOCK_NONBLOCK and SOCK_CLOEXEC are
 * implied; protocol: 0 or IPPROTO_TCP. EAFNOSUPPORT, EPROTONOSUPPORT, EMFILE. */
FL_API int fl_socket(fl_context*, int domain, int type, int protocol);
/* Before fl_connect() the port is 0 or one of "local_ports", others are the kernel's:
 * EADDRNOTAVAIL. */
FL_API int fl_bind(fl_context*, int fd, const struct sockaddr*, socklen_t);
/* EADDRINUSE: this context, or the kernel, has it; EDESTADDRREQ: not bound to a port. */
FL_API int fl_listen(fl_context*, int fd, int backlog);
/* EAGAIN: nobody waits. */
FL_API int fl_accept(fl_context*, int fd, struct sockaddr*, socklen_t*);
/* EINPROGRESS, and EPOLLOUT when it is done: SO_ERROR says how. ENETUNREACH,
 * EHOSTUNREACH, EADDRNOTAVAIL (no local port is free; the address is not this machine's, or with
 * the port that was bound it would come to another context), EADDRINUSE, EINVAL, ENOBUFS. */
FL_API int fl_connect(fl_context*, int fd, const struct sockaddr*, socklen_t);
/* 0: end of stream. EAGAIN, ECONNRESET, ETIMEDOUT, ENOTCONN. */
FL_API ssize_t fl_read(fl_context*, int fd, void*, size_t);
/* As much as there is room for. EAGAIN: none; EPIPE after fl_shutdown(). */
FL_API ssize_t fl_write(fl_context*, int fd, const void*, size_t);
FL_API int fl_shutdown(fl_context*, int fd, int how);
/* A connection closes in the background, in the NIC stack where it may; by RST if bytes are unread,
 * or if SO_LINGER is on with a time of 0. Descriptors are used again. */
FL_API int fl_close(fl_context*, int fd);
FL_API int fl_getsockname(fl_context*, int fd, struct sockaddr*, socklen_t*);
FL_API int fl_getpeername(fl_context*, int fd, struct sockaddr*, socklen_t*);

/* Of level IPPROTO_TCP, an int of 0 or 1. A listener's handshakes are the NIC stack's; not for
 * servers that speak first. */
#define TCP_SETUP_OFFLOAD 0x464c01
/* A connection, or those of a listener that are yet to come, is closed by the NIC stack. */
#define TCP_TEARDOWN_OFFLOAD 0x464c02
/* Besides these: SOL_SOCKET SO_ERROR (read only), SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN
 * (likewise), SO_KEEPALIVE, SO_LINGER, SO_REUSEADDR and SO_REUSEPORT (accepted, without meaning
 * here), SO_SNDBUF and SO_RCVBUF (bytes at most);
 * IPPROTO_TCP TCP_NODELAY, TCP_CORK, TCP_DEFER_ACCEPT (not 0: with TCP_SETUP_OFFLOAD a connection
 * begins with the client's data), TCP_MAXSEG, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT,
 * TCP_USER_TIMEOUT. Buffers, and the last six, are for connections that are yet to come; each
 * different set of them is kept for good. ENOPROTOOPT: no such option; EINVAL: no such value, or
 * the connection is there already. */
FL_API int fl_setsockopt(fl_context*, int fd, int level, int name, const void*, socklen_t);
FL_API int fl_getsockopt(fl_context*, int fd, int level, int name, void*, socklen_t*);

/* The context is the epoll instance. EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET, EPOLLONESHOT; EPOLLERR
 * and EPOLLHUP are always reported. */
FL_API int fl_epoll_ctl(fl_context*, int operation, int fd, struct epoll_event*);
/* timeout: milliseconds; -1: none. EINTR: a signal came while it slept. One that comes while packets
 * are handled, here or between two calls, does not end the sleep that follows: who waits for one
 * looks for it now and then. */
FL_API int fl_epoll_wait(fl_context*, struct epoll_event*, int max, int timeout);

/* How a splice ended. */
enum fl_nsplice_end {
  FL_NSPLICE_CLOSED,  /* FIN both ways, both acknowledged */
  FL_NSPLICE_RESET_A, /* by RST of a's peer */
  FL_NSPLICE_RESET_B,
  FL_NSPLICE_IDLE,    /* nothing passed for too long */
  FL_NSPLICE_REUSED,  /* a new SYN took its place */
  FL_NSPLICE_REMOVED, /* this process went away */
};
struct fl_nsplice_flow {
  uint64_t packets; /* segments */
  uint64_t bytes;   /* of payload, retransmissions included */
};
struct fl_nsplice_report {
  struct sockaddr_storage peer_a, peer_b; /* remote addresses */
  struct fl_nsplice_flow from_a, from_b;  /* what a's peer has sent, and b's */
  enum fl_nsplice_end end;
};
typedef void fl_nsplice_callback(void* argument, const struct fl_nsplice_report*);
/* Makes one connection of two (AccelTCP, NSDI '20, 3.3): from here on neither has a byte pass
 * through this process, and both descriptors are closed. At any time; what was received and is
 * unread is delivered first. At the end `callback`, if not NULL, is called in fl_epoll_wait() or
 * fl_close_host(); it may not call fl_nsplice(),
 * fl_epoll_wait() nor fl_close_host(), and there are no new sockets in the last. Refused, both are
 * as before: ENOTCONN, EAFNOSUPPORT (IPv4 with IPv6), EPROTO (their options can't be reconciled),
 * EMSGSIZE (nor their segment sizes), EPIPE (half closed by us), ENOBUFS. */
FL_API int fl_nsplice(fl_context*, int a, int b, fl_nsplice_callback* callback, void* argument);

/* NOLINTEND(modernize-use-using) */

#ifdef __cplusplus
}
#endif
#endif
