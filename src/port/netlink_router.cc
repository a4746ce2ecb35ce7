#include "port/netlink_router.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "port/source_address.h"

namespace fairlead::port {
namespace {

constexpr uint32_t kGroups = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
                             RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
/// Datagrams taken in by one process(): a routing daemon's storm must not hold up the shard.
constexpr unsigned kMaxReads = 64;
/// RFC 4861 §10, REACHABLE_TIME.
constexpr Duration kRefreshInterval = seconds(30);
/// A table of a million routes takes about a second to read: flapping links must not make that all
/// we do.
constexpr Duration kRereadInterval = milliseconds(100);

bool same_address(const AddressMessage& a, const AddressMessage& b) {
  return a.interface_index == b.interface_index && a.address == b.address;
}

}  // namespace

NetlinkRouter::NetlinkRouter(NetlinkSocket events, NetlinkSocket questions,
                             std::span<const Interface> ours)
    : events_(std::move(events)),
      questions_(std::move(questions)),
      ours_(ours.begin(), ours.end()),
      neighbours_([this](const NeighbourTable::Key& key) { solicit(key); }) {}

Result<std::unique_ptr<NetlinkRouter>> NetlinkRouter::open(std::span<const Interface> interfaces,
                                                           Time now) {
  // Subscribed before the first reading: a change in between is seen twice, not missed.
  Result<NetlinkSocket> events = NetlinkSocket::open(kGroups);
  if (!events) return std::unexpected(events.error());
  Result<NetlinkSocket> questions = NetlinkSocket::open(0);
  if (!questions) return std::unexpected(questions.error());
  std::unique_ptr<NetlinkRouter> router(
      new NetlinkRouter(std::move(*events), std::move(*questions), interfaces));
  router->now_ = router->refreshed_ = now;
  const Result<void> read = router->read_everything();
  if (!read) return std::unexpected(read.error());
  for (const Interface& ours : interfaces) {
    const bool found = std::ranges::any_of(
        router->links_, [&](const auto& link) { return link.second.name == ours.name; });
    if (!found) {
      return fail(Errc::kNoDevice, fmt::format("interface {}: no such interface", ours.name));
    }
  }
  return router;
}

Result<NetlinkRouter::Way> NetlinkRouter::way_to(const IpAddress& remote) const {
  if (remote.is_unspecified() || remote.is_multicast_or_broadcast()) {
    return fail(Errc::kNetworkUnreachable);
  }
  const Route* local = local_.find(remote);
  if (local != nullptr && local->kind != RouteKind::kThrow) return fail(Errc::kHostUnreachable);
  const Route* route = main_.find(remote);
  if (route == nullptr || route->kind == RouteKind::kThrow) {
    return fail(Errc::kNetworkUnreachable);
  }
  if (route->kind != RouteKind::kUnicast) return fail(Errc::kHostUnreachable);
  const Link* link = routable_link(route->interface_index);
  if (link == nullptr) return fail(Errc::kNetworkUnreachable);
  const std::optional<IpAddress> source =
      route->preferred_source
          ? route->preferred_source
          : choose_source(addresses_, {.interface_index = route->interface_index,
                                       .remote = remote,
                                       .next_hop = route->gateway.value_or(remote)});
  if (!source) return fail(Errc::kNetworkUnreachable);
  return Way{.route = route, .link = link, .source = *source};
}

uint16_t NetlinkRouter::Way::mtu() const {
  const uint32_t mtu = route->mtu == 0 ? link->mtu : std::min(route->mtu, link->mtu);
  return static_cast<uint16_t>(std::min(mtu, 65535u));
}

Result<Path> NetlinkRouter::resolve(const IpAddress& remote) {
  const Result<Way> way = way_to(remote);
  if (!way) return fail(way.error().code);
  const Route& route = *way->route;
  const IpAddress gateway = route.gateway.value_or(remote);
  const Result<MacAddress> next_hop = neighbours_.resolve({route.interface_index, gateway}, now_);
  if (!next_hop) return fail(next_hop.error().code);
  return Path{.source = way->source,
              .local_mac = way->link->mac,
              .next_hop = *next_hop,
              .gateway = gateway,
              .mtu = way->mtu(),
              .port_index = *way->link->port_index};
}

std::optional<IpAddress> NetlinkRouter::source_for(const IpAddress& remote) {
  const Result<Way> way = way_to(remote);
  return way ? std::optional(way->source) : std::nullopt;
}

std::optional<uint16_t> NetlinkRouter::mtu_for(const IpAddress& remote) const {
  const Result<Way> way = way_to(remote);
  return way ? std::optional(way->mtu()) : std::nullopt;
}

bool NetlinkRouter::is_local(const IpAddress& address) const {
  return std::ranges::any_of(addresses_, [&](const AddressMessage& one) {
    return one.address == address && one.usable && links_.contains(one.interface_index) &&
           links_.at(one.interface_index).port_index.has_value();
  });
}

std::vector<IpAddress> NetlinkRouter::local_addresses(uint8_t port_index) const {
  std::vector<IpAddress> out;
  for (const AddressMessage& one : addresses_) {
    const auto link = links_.find(one.interface_index);
    if (link != links_.end() && link->second.port_index == port_index) out.push_back(one.address);
  }
  return out;
}

Result<void> NetlinkRouter::process(Time now) {
  now_ = now;
  const Result<void> received =
      events_.receive([this](const nlmsghdr& message) { take(message); }, kMaxReads);
  if (!received) {
    events_.discard();
    out_of_date_ = true;
  }
  if (out_of_date_ && now - read_ >= kRereadInterval) {
    const Result<void> read = read_everything();
    if (!read) return read;
    ++counters_.rereads;
  }
  if (stale_in_use_ && now - refreshed_ >= kRefreshInterval) {
    stale_in_use_ = false;
    refreshed_ = now;
    ++generation_;
  }
  return {};
}

NetlinkRouter::Counters NetlinkRouter::counters() const {
  Counters out = counters_;
  out.neighbour_overflows = neighbours_.overflows();
  return out;
}

Result<void> NetlinkRouter::read_everything() {
  read_ = now_;
  out_of_date_ = true;
  links_.clear();
  addresses_.clear();
  local_.clear();
  main_.clear();
  neighbours_.forget_states();
  ++generation_;
  for (const uint16_t type : {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH}) {
    const Result<void> read = dump(type);
    if (!read) return read;
  }
  out_of_date_ = false;
  return {};
}

Result<void> NetlinkRouter::dump(uint16_t type) {
  alignas(nlmsghdr) std::array<char, 128> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  // The longest of the four family headers, all zero: "any family".
  mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg));
  return questions_.ask(*request, [this](const nlmsghdr& message) { take(message); });
}

void NetlinkRouter::take(const nlmsghdr& message) {
  if (const auto link = parse_link_message(message)) return take_link(*link);
  if (const auto address = parse_address_message(message)) return take_address(*address);
  if (const auto route = parse_route_message(message)) return take_route(*route);
  if (const auto neighbour = parse_neighbour_message(message)) return take_neighbour(*neighbour);
}

void NetlinkRouter::take_link(const LinkMessage& message) {
  ++generation_;
  const auto known = links_.find(message.index);
  // The kernel drops a link's IPv4 routes without a word when the link goes down.
  if (known != links_.end() && known->second.up && (message.removed || !message.up)) {
    out_of_date_ = true;
  }
  if (message.removed) {
    links_.erase(message.index);
    return;
  }
  Link link{.name = message.name,
            .port_index = std::nullopt,
            .mac = message.mac,
            .mtu = message.mtu,
            .up = message.up};
  const auto ours = std::ranges::find(ours_, message.name, &Interface::name);
  if (ours != ours_.end()) link.port_index = ours->port_index;
  links_.insert_or_assign(message.index, std::move(link));
}

void NetlinkRouter::take_address(const AddressMessage& message) {
  ++generation_;
  const auto known = std::ranges::find_if(
      addresses_, [&](const AddressMessage& one) { return same_address(one, message); });
  if (known != addresses_.end()) addresses_.erase(known);
  // With an address go, without a word, the routes that prefer it as their source.
  if (message.removed) out_of_date_ = true;
  if (!message.removed) addresses_.push_back(message);
}

void NetlinkRouter::take_route(const RouteMessage& message) {
  ++generation_;
  RouteTable& table = message.table == RouteTableName::kLocal ? local_ : main_;
  if (message.removed) {
    table.remove(message.route);
  } else if (!table.add(message.route)) {
    ++counters_.route_overflows;
  }
}

void NetlinkRouter::take_neighbour(const NeighbourMessage& message) {
  const NeighbourTable::Effect effect = neighbours_.update(message);
  if (effect == NeighbourTable::Effect::kPathsChanged) ++generation_;
  if (effect == NeighbourTable::Effect::kPathsStale) stale_in_use_ = true;
}

void NetlinkRouter::solicit(const NeighbourTable::Key& key) {
  alignas(nlmsghdr) std::array<char, 128> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_NEWNEIGH;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
  auto* neighbour = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
  neighbour->ndm_family = key.address.is_v4() ? AF_INET : AF_INET6;
  neighbour->ndm_ifindex = key.interface_index;
  neighbour->ndm_state = NUD_NONE;
  // "Somebody uses it": resolves, or confirms when stale, as if the kernel had sent a packet.
  neighbour->ndm_flags = NTF_USE;
  const ByteSpan address = key.address.header_bytes();
  mnl_attr_put(request, NDA_DST, address.size(), address.data());
  // Not taken now: asked again when the next packet wants it.
  if (events_.post(*request)) ++counters_.solicitations;
}

const NetlinkRouter::Link* NetlinkRouter::routable_link(int index) const {
  const auto found = links_.find(index);
  if (found == links_.end() || !found->second.port_index || !found->second.up) return nullptr;
  return &found->second;
}

}  // namespace fairlead::port
