#include "tests/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>

#include "base/check.h"
#include "fmt/format.h"

namespace fairlead::test {
namespace {

/// The calling thread's: a thread may be in another namespace than its process.
UniqueFd current_namespace() { return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY)); }

UniqueFd new_namespace() {
  CHECK(::unshare(CLONE_NEWNET) == 0);
  return current_namespace();
}

void enter(const UniqueFd& fd) { CHECK(::setns(fd.get(), CLONE_NEWNET) == 0); }

void shell(const std::string& command) {
  // The child shares this thread's namespace: system() forks.
  const int status = std::system(command.c_str());
  if (status != 0) fmt::print(stderr, "command failed ({}): {}\n", status, command);
  CHECK(status == 0);
}

}  // namespace

std::string NamespacePair::why_not() {
  if (::geteuid() != 0) return "needs root: makes network namespaces and packet sockets";
  UniqueFd here = current_namespace();
  if (::unshare(CLONE_NEWNET) != 0) return "needs CAP_SYS_ADMIN: makes network namespaces";
  enter(here);
  return "";
}

NamespacePair::NamespacePair() : original_(current_namespace()) {
  a_ = new_namespace();
  b_ = new_namespace();
  shell(
      fmt::format("ip link add fl-b type veth peer name fl-a && "
                  "ip link set fl-a netns /proc/{}/fd/{}",
                  ::getpid(), a_.get()));
  for (const char which : {'a', 'b'}) {
    which == 'a' ? enter_a() : enter_b();
    // No address detection delay, no router discovery: only what the test sends is on the wire.
    shell(
        fmt::format("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.fl-{0}.accept_dad=0 "
                    "net.ipv6.conf.fl-{0}.router_solicitations=0 && "
                    "ip addr add 10.77.0.{1}/24 dev fl-{0} && "
                    "ip addr add fd77::{1}/64 dev fl-{0} nodad && "
                    "ip link set lo up && ip link set fl-{0} up",
                    which, which == 'a' ? 1 : 2));
  }
}

NamespacePair::~NamespacePair() { enter(original_); }

void NamespacePair::enter_a() const { enter(a_); }
void NamespacePair::enter_b() const { enter(b_); }

void NamespacePair::run_in_a(const std::string& command) const {
  const UniqueFd here = current_namespace();
  enter_a();
  shell(command);
  enter(here);
}

void NamespacePair::run_in_b(const std::string& command) const {
  const UniqueFd here = current_namespace();
  enter_b();
  shell(command);
  enter(here);
}

void NamespacePair::set_offloads(bool on) const {
  const char* state = on ? "on" : "off";
  const auto command = [&](char which) {
    return fmt::format("ethtool -K fl-{0} tx {1} sg {1} tso {1} gso {1} gro {1} >/dev/null", which,
                       state);
  };
  run_in_a(command('a'));
  run_in_b(command('b'));
}

}  // namespace fairlead::test
