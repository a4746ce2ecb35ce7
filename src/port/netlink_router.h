// NetlinkRouter: the kernel's routes, addresses and neighbours, followed over rtnetlink, as the
// host stack's Router.
//
//     kernel ──▶ links, addresses, routes (tables local and main), neighbours ──▶ resolve()
//            ◀── "resolve this neighbour" (RTM_NEWNEIGH with NTF_USE)
//
// Everything is read once at the start and then kept up to date from notifications; resolve() looks
// only at what is here. Everything is read again when notifications were lost (ENOBUFS) and after
// changes of which the kernel tells only half: a link going down, an address going away.
//
// Not looked at: policy rules beyond the standard ones, other tables, source-specific routes, all
// but the first next hop of a multipath route. Only interfaces handed to open() are routable: a
// destination whose best route leaves by another one is unreachable for us, as it is the kernel's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/neighbour_table.h"
#include "port/netlink_messages.h"
#include "port/netlink_socket.h"
#include "port/path.h"
#include "port/route_table.h"

namespace fairlead::port {

class NetlinkRouter final : public Router {
 public:
  struct Interface {
    std::string name;
    uint8_t port_index = 0;
  };
  struct Counters {
    uint64_t rereads = 0;              // everything read again
    uint64_t route_overflows = 0;      // routes not recorded: the table was full
    uint64_t neighbour_overflows = 0;  // neighbours not recorded: the table was full
    uint64_t solicitations = 0;        // neighbours the kernel was asked for
  };
  static constexpr size_t kMaxRoutes = size_t{1} << 20;  // per table

  /// Reads everything, in the calling thread's network namespace. ENODEV: no such interface.
  static Result<std::unique_ptr<NetlinkRouter>> open(std::span<const Interface> interfaces,
                                                     Time now);

  /// EHOSTUNREACH also for an address of this machine: what is sent to it does not leave by an
  /// interface. A neighbour the kernel has lost confidence in is used, and the kernel asked to
  /// confirm it, at most every 30 s.
  Result<Path> resolve(const IpAddress& remote) override;
  std::optional<IpAddress> source_for(const IpAddress& remote) override;
  std::optional<uint16_t> mtu_for(const IpAddress& remote) const override;
  /// Besides real changes, moves on at most every 30 s when neighbours in use went stale, so that
  /// they are asked for again and get confirmed.
  uint64_t generation() const override { return generation_; }
  bool is_local(const IpAddress& address) const override;

  /// The addresses of an interface of ours, for steering.
  std::vector<IpAddress> local_addresses(uint8_t port_index) const;

  /// Readable when process() has something to read.
  int poll_fd() const { return events_.fd(); }
  /// Takes in what the kernel has told. Call when poll_fd() is readable and at least once a second:
  /// `now` is also the time by which resolve() paces its questions. An error means that the tables
  /// could not be read again and may be out of date; the next call tries again.
  Result<void> process(Time now);

  Counters counters() const;

 private:
  struct Link {
    std::string name;
    std::optional<uint8_t> port_index;  // of ours; nothing for other people's interfaces
    MacAddress mac;
    uint32_t mtu = 1500;
    bool up = false;
  };

  /// What resolve() knows before it needs the neighbour.
  struct Way {
    const Route* route;
    const Link* link;
    IpAddress source;

    uint16_t mtu() const;
  };

  NetlinkRouter(NetlinkSocket events, NetlinkSocket questions, std::span<const Interface> ours);

  Result<void> read_everything();
  Result<void> dump(uint16_t type);
  void take(const nlmsghdr& message);
  void take_link(const LinkMessage& message);
  void take_address(const AddressMessage& message);
  void take_route(const RouteMessage& message);
  void take_neighbour(const NeighbourMessage& message);
  void solicit(const NeighbourTable::Key& key);
  const Link* routable_link(int index) const;
  Result<Way> way_to(const IpAddress& remote) const;

  NetlinkSocket events_;     // notifications come in, solicitations go out
  NetlinkSocket questions_;  // for dumps
  std::vector<Interface> ours_;
  std::unordered_map<int, Link> links_;
  std::vector<AddressMessage> addresses_;
  RouteTable local_{kMaxRoutes};
  RouteTable main_{kMaxRoutes};
  NeighbourTable neighbours_;
  uint64_t generation_ = 1;
  Time now_{};
  bool out_of_date_ = false;  // the tables miss something: to be read again
  Time read_{};               // when they were read last
  bool stale_in_use_ = false;
  Time refreshed_{};  // when the generation last moved for staleness
  Counters counters_;
};

}  // namespace fairlead::port
