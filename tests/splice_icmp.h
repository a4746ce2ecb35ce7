// A stack with a splice between a client and a server, and ICMP errors about its packets: what the
// tests of both send in and expect out, byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "host/stack.h"
#include "nic/splice/rule.h"
#include "tests/splice_packets.h"
#include "wire/checksum.h"

namespace fairlead::test {

inline const MacAddress kOurs{{2, 0, 0, 0, 0, 1}};
inline const MacAddress kClients{{2, 0, 0, 0, 0, 7}};
inline const MacAddress kServers{{2, 0, 0, 0, 0, 9}};
inline const Time kNow{seconds(1000)};
inline constexpr uint16_t kWindow = 5000;  // bytes the server lets the client send
inline constexpr uint32_t kAcked = 1000;   // of the client's, by the server

class TwoNeighbours final : public port::Router {
 public:
  explicit TwoNeighbours(const IpAddress& client) : client_(client) {}

  Result<port::Path> resolve(const IpAddress& remote) override {
    return port::Path{.source = {},
                      .local_mac = kOurs,
                      .next_hop = remote == client_ ? kClients : kServers,
                      .gateway = remote,
                      .mtu = mtu};
  }
  std::optional<IpAddress> source_for(const IpAddress&) override { return std::nullopt; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return mtu; }
  uint64_t generation() const override { return generation_number; }
  bool is_local(const IpAddress&) const override { return true; }

  uint16_t mtu = 1500;
  uint64_t generation_number = 1;

 private:
  IpAddress client_;
};

struct Error {
  IpAddress from;
  IpAddress to;
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;
  uint8_t hop_limit = 60;
};

/// An IP packet, checksums complete.
inline PacketBytes error_packet(const Error& error, ByteSpan quote) {
  const bool v4 = error.from.is_v4();
  PacketBytes icmp{error.type, error.code, 0, 0};
  append32(icmp, error.rest);
  icmp.insert(icmp.end(), quote.begin(), quote.end());
  const auto length = static_cast<uint16_t>(icmp.size());
  const PseudoHeader pseudo{
      .source = error.from, .destination = error.to, .protocol = 58, .length = length};
  write16(icmp, 2, checksum_finish(checksum_add(v4 ? 0 : pseudo_header_sum(pseudo), icmp)));
  PacketBytes out;
  if (v4) {
    out = {0x45, 0};
    append16(out, static_cast<uint16_t>(20 + length));
    append32(out, 0x4000);  // ID 0, DF
    out.push_back(error.hop_limit);
    out.push_back(1);
    append16(out, 0);
  } else {
    append32(out, 6u << 28);
    append16(out, length);
    out.push_back(58);
    out.push_back(error.hop_limit);
  }
  for (const IpAddress& address : {error.from, error.to}) {
    const ByteSpan bytes = address.header_bytes();
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  if (v4) write16(out, 10, checksum_finish(checksum_add(0, out)));
  return out + icmp;
}

/// The parameter: IPv6. One splice is open.
class SpliceIcmp : public testing::TestWithParam<bool> {
 protected:
  SpliceIcmp() {
    nic::Splice& splice = *stack_.splices().create();
    const nic::SpliceRecords records = nic::records_of(pair_);
    splice.directions[0].tuple = pair_.client;
    splice.directions[0].rule = records.from_client.rule;
    splice.directions[1].tuple = pair_.server;
    splice.directions[1].rule = records.from_server.rule;
    stack_.splices().open(splice, kNow);
    deliver(packet_of(server_ack()));
  }

  bool v6() const { return GetParam(); }
  IpAddress address(std::string_view v4, std::string_view v6_text) const {
    return *IpAddress::parse(v6() ? v6_text : v4);
  }
  size_t ip_size() const { return v6() ? 40 : 20; }

  nic::SplicePair make_pair() const {
    const IpAddress v = address("192.0.2.1", "2001:db8::1");
    const IpAddress l = address("192.0.2.2", "2001:db8::2");
    return {.client = {{v, 80}, {address("198.51.100.7", "2001:db8:c::7"), 5000}},
            .server = {{l, 61000}, {address("203.0.113.9", "2001:db8:d::9"), 8080}},
            .seq_offset = 0xfffff000,
            .ack_offset = 77,
            .ts_value_offset = 0x80000000,
            .ts_echo_offset = 3,
            .scales = {.announced_by_client = 2,
                       .announced_to_client = 0,
                       .announced_by_server = 0,
                       .announced_to_server = 0},
            .timestamps = true};
  }
  /// What the client has sent, as it came, with the hops it has left at the reporter.
  Segment client_segment() const {
    return {.from = pair_.client.remote,
            .to = pair_.client.local,
            .seq = kAcked,
            .ack = 2000,
            .flags = 0x18,
            .options = nops(2) + timestamps(50, 60),
            .payload = some_bytes(1201),
            .ttl = 30};
  }
  /// And what was made of it.
  Segment translated_segment() const {
    Segment out = client_segment();
    out.from = pair_.server.local;
    out.to = pair_.server.remote;
    out.seq += 0xfffff000;
    out.ack += 77;
    out.window = 4000;
    out.options = nops(2) + timestamps(0x80000000 + 50, 63);
    return out;
  }
  Segment server_ack() const {
    return {.from = pair_.server.remote,
            .to = pair_.server.local,
            .seq = 2077,
            .ack = kAcked + 0xfffff000,
            .window = kWindow,
            .options = nops(2) + timestamps(63, 9)};
  }
  Error too_big(uint32_t mtu) const {
    return {.from = router_address_,
            .to = pair_.server.local.address,
            .type = static_cast<uint8_t>(v6() ? 2 : 3),
            .code = static_cast<uint8_t>(v6() ? 0 : 4),
            .rest = mtu};
  }
  /// As the client is to be told.
  Error to_client(Error error) const {
    error.to = pair_.client.remote.address;
    --error.hop_limit;
    return error;
  }

  PacketBytes frame(ByteSpan packet, const MacAddress& to, const MacAddress& from) const {
    PacketBytes out(to.bytes.begin(), to.bytes.end());
    out.insert(out.end(), from.bytes.begin(), from.bytes.end());
    append16(out, v6() ? 0x86dd : 0x0800);
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
  }
  /// The frames that are sent because of a packet.
  std::vector<PacketBytes> deliver(ByteSpan packet, uint16_t gso_size = 0) {
    // A copy of exactly that size: a sanitizer sees a byte too far.
    const PacketBytes in = frame(packet, kOurs, kServers);
    stack_.on_packet({.frame = in, .gso_size = gso_size}, kNow);
    return turn();
  }
  /// The frames that the stack wants to send.
  std::vector<PacketBytes> turn() {
    stack_.dispatch_events();
    stack_.settle();
    port::PacketBurst burst;
    stack_.transmit(burst, kNow);
    std::vector<PacketBytes> out;
    for (size_t i = 0; i < burst.size(); ++i) {
      if (burst[i].checksum_partial) port::complete_checksum(burst[i]);
      const ByteSpan header = burst[i].header_bytes();
      PacketBytes& sent = out.emplace_back(header.begin(), header.end());
      for (size_t n = 0; n < burst[i].payload_count; ++n) {
        sent.insert(sent.end(), burst[i].payload[n].begin(), burst[i].payload[n].end());
      }
    }
    stack_.end_burst();
    return out;
  }
  std::vector<PacketBytes> deliver(const Error& error, ByteSpan quote) {
    return deliver(error_packet(error, quote));
  }
  std::vector<PacketBytes> expected(const Error& error, ByteSpan quote) const {
    return {frame(error_packet(to_client(error), quote), kClients, kOurs)};
  }
  /// With an option, or an extension header, before TCP.
  PacketBytes with_ip_options(PacketBytes packet) const {
    const PacketBytes options = v6() ? PacketBytes{6, 0, 1, 4, 0, 0, 0, 0} : PacketBytes(4, 1);
    if (v6()) {
      packet[6] = 60;  // destination options
      write16(packet, 4, static_cast<uint16_t>(packet.size() - 40 + options.size()));
    } else {
      packet[0] = 0x46;
      write16(packet, 2, static_cast<uint16_t>(packet.size() + options.size()));
      write16(packet, 10, 0);
    }
    packet.insert(packet.begin() + static_cast<ptrdiff_t>(ip_size()), options.begin(),
                  options.end());
    if (!v6()) {
      const ByteSpan header = ByteSpan(packet).first(ip_size() + options.size());
      write16(packet, 10, checksum_finish(checksum_add(0, header)));
    }
    return packet;
  }
  PacketBytes quote(const Segment& segment, size_t size = 300) const {
    PacketBytes out = packet_of(segment);
    out.resize(std::min(size, out.size()));
    return out;
  }
  const nic::SpliceCounters& counters() const { return stack_.splices().counters(); }

  const nic::SplicePair pair_ = make_pair();
  const IpAddress router_address_ = address("10.9.9.9", "2001:db8:99::9");
  TwoNeighbours router_{pair_.client.remote.address};
  const port::PortInfo port_[1] = {{}};
  host::Stack stack_{{.max_connections = 16, .max_splices = 16},
                     router_,
                     port_,
                     {.hash = {}, .isn = {}, .setup = {}, .seed = 1},
                     kNow};
};

/// Names of the parameter.
inline const auto family = [](const testing::TestParamInfo<bool>& info) {
  return std::string(info.param ? "Ipv6" : "Ipv4");
};

}  // namespace fairlead::test
