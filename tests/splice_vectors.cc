#include "tests/splice_vectors.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"

namespace fairlead::test {
namespace {

using nic::SplicePair;

constexpr uint8_t kFin = 0x01;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kAck = 0x10;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

using Change = std::function<void(Segment&)>;

/// Collects vectors for one family. Both pairs' offsets:
///
///     to the server   SEQ + 0x01000000   ACK - 0x02000000   TSval + 1000   TSecr - 2000
///     to the client   SEQ + 0x02000000   ACK - 0x01000000   TSval + 2000   TSecr - 1000
class Table {
 public:
  Table(std::vector<SpliceVector>& out, bool v6)
      : out_(out), pair_(vector_pair(v6)), suffix_(v6 ? ", IPv6" : ", IPv4") {}

  Segment from_client() const {
    return {.from = pair_.client.remote, .to = pair_.client.local, .seq = 1000, .ack = 2000};
  }
  Segment from_server() const {
    return {.from = pair_.server.remote, .to = pair_.server.local, .seq = 3000, .ack = 4000};
  }

  /// `change` makes the packet, `becomes` what is expected out of what the pair does to a packet
  /// whose fields are all zero, which is: addresses, ports and one hop less.
  void client(std::string name, const Change& change, const Change& becomes) {
    Segment in = from_client();
    change(in);
    Segment out = in;
    out.from = pair_.server.local;
    out.to = pair_.server.remote;
    --out.ttl;
    becomes(out);
    add(std::move(name), true, in, out);
  }
  void server(std::string name, const Change& change, const Change& becomes) {
    Segment in = from_server();
    change(in);
    Segment out = in;
    out.from = pair_.client.local;
    out.to = pair_.client.remote;
    --out.ttl;
    becomes(out);
    add(std::move(name), false, in, out);
  }
  /// A packet from the client that is left as it is.
  SpliceVector& left(std::string name, const PacketBytes& packet, fl_splice_verdict verdict) {
    return push({.name = std::move(name),
                 .pair = pair_,
                 .packet = packet,
                 .verdict = verdict,
                 .expected = packet});
  }
  SpliceVector& last() { return out_.back(); }
  bool v6() const { return pair_.client.local.address.is_v6(); }
  SplicePair& pair() { return pair_; }

 private:
  void add(std::string name, bool from_client, const Segment& in, const Segment& out) {
    push({.name = std::move(name),
          .pair = pair_,
          .from_client = from_client,
          .packet = packet_of(in),
          .checksum_partial = in.partial_checksum,
          .expected = packet_of(out)});
  }
  SpliceVector& push(SpliceVector vector) {
    vector.name += suffix_;
    out_.push_back(std::move(vector));
    return out_.back();
  }

  std::vector<SpliceVector>& out_;
  SplicePair pair_;
  std::string suffix_;
};

/// What becomes of a from_client() that no test has changed.
void shifted(Segment& out) {
  out.seq = 0x010003e8;
  out.ack = 0xfe0007d0;
}

void add_numbers(Table& table) {
  table.client("acknowledgement", [](Segment&) {}, shifted);
  table.server(
      "data from the server",
      [](Segment& in) {
        in.flags = kAck | kPsh;
        in.payload = some_bytes(101);
      },
      [](Segment& out) {
        out.seq = 0x02000bb8;
        out.ack = 0xff000fa0;
      });
  table.client(
      "sequence numbers wrap",
      [](Segment& in) {
        in.seq = 0xff000000;
        in.ack = 0x01ffffff;
      },
      [](Segment& out) {
        out.seq = 0;
        out.ack = 0xffffffff;
      });
  table.client("FIN", [](Segment& in) { in.flags = kFin | kAck; }, shifted);
  table.client(
      "RST acknowledges nothing: its ACK and TSecr stay",
      [](Segment& in) {
        in.flags = kRst;
        in.ack = 0;
        in.options = nops(2) + timestamps(7, 9);
      },
      [](Segment& out) {
        out.seq = 0x010003e8;
        out.options = nops(2) + timestamps(1007, 9);
      });
  table.client(
      "DSCP, ECN, flow label, URG and flags of ECN stay",
      [](Segment& in) {
        in.traffic_class = 0xbb;
        in.flow_label = in.from.address.is_v6() ? 0xabcde : 0;
        in.urgent = 0x1234;
        in.flags = 0xf8;
        in.payload = some_bytes(3);
      },
      shifted);
  table.client("last hop but one", [](Segment& in) { in.ttl = 2; }, shifted);
  table.client("highest hop count", [](Segment& in) { in.ttl = 255; }, shifted);
}

void add_windows(Table& table) {
  const auto window = [&](std::string name, uint16_t from, uint16_t to) {
    table.client(
        std::move(name), [&](Segment& in) { in.window = from; },
        [&](Segment& out) {
          shifted(out);
          out.window = to;
        });
  };
  nic::SpliceScales& scales = table.pair().scales;
  scales = {.announced_by_client = 7, .announced_to_server = 4};
  window("window, larger units to smaller", 100, 800);
  window("window, as large as the smaller units allow", 8191, 65528);
  window("window, larger than the smaller units allow", 8192, 65535);
  window("window of zero, shifted left", 0, 0);
  scales = {.announced_by_client = 0, .announced_to_server = 14};
  window("window, rounded down", 0x7fff, 1);
  window("window, rounded down to zero", 0x3fff, 0);
  scales = {.announced_by_client = 14, .announced_to_server = 0};
  window("window, the largest shift", 4, 65535);
  window("window, the largest shift that fits", 3, 49152);
  scales = {};
}

void add_timestamps(Table& table) {
  table.client(
      "timestamps",
      [](Segment& in) {
        in.options = nops(2) + timestamps(100, 5000);
        in.payload = some_bytes(10);
      },
      [](Segment& out) {
        shifted(out);
        out.options = nops(2) + timestamps(1100, 3000);
      });
  table.client(
      "timestamps wrap", [](Segment& in) { in.options = nops(2) + timestamps(0xffffffff, 1999); },
      [](Segment& out) {
        shifted(out);
        out.options = nops(2) + timestamps(999, 0xffffffff);
      });
  table.client(
      "timestamps at an odd offset",
      [](Segment& in) { in.options = nops(1) + timestamps(0x01020304, 0x05060708) + nops(1); },
      [](Segment& out) {
        shifted(out);
        out.options = nops(1) + timestamps(0x010206ec, 0x0505ff38) + nops(1);
      });
  table.client(
      "timestamps first", [](Segment& in) { in.options = timestamps(1, 2000) + nops(2); },
      [](Segment& out) {
        shifted(out);
        out.options = timestamps(1001, 0) + nops(2);
      });
  table.client(
      "timestamps twice",
      [](Segment& in) { in.options = timestamps(1, 2000) + timestamps(2, 2001); },
      [](Segment& out) {
        shifted(out);
        out.options = timestamps(1001, 0) + timestamps(1002, 1);
      });
  table.client(
      "timestamps behind 30 paddings",
      [](Segment& in) { in.options = nops(30) + timestamps(1, 2000); },
      [](Segment& out) {
        shifted(out);
        out.options = nops(30) + timestamps(1001, 0);
      });
}

void add_sack(Table& table) {
  const std::vector<uint32_t> from{0x02000000, 0x01ffffff, 0, 5, 6, 7, 0xffffffff, 8};
  const std::vector<uint32_t> to{0,          0xffffffff, 0xfe000000, 0xfe000005,
                                 0xfe000006, 0xfe000007, 0xfdffffff, 0xfe000008};
  for (size_t blocks = 1; blocks <= 4; ++blocks) {
    const auto count = static_cast<ptrdiff_t>(2 * blocks);
    const PacketBytes in_blocks = sack({from.begin(), from.begin() + count});
    const PacketBytes out_blocks = sack({to.begin(), to.begin() + count});
    const std::string number = std::to_string(blocks);
    table.client(
        "SACK blocks: " + number, [&](Segment& in) { in.options = nops(2) + in_blocks; },
        [&](Segment& out) {
          shifted(out);
          out.options = nops(2) + out_blocks;
        });
    table.client(
        "SACK blocks at an odd offset: " + number,
        [&](Segment& in) { in.options = nops(1) + in_blocks + nops(1); },
        [&](Segment& out) {
          shifted(out);
          out.options = nops(1) + out_blocks + nops(1);
        });
    if (blocks == 4) continue;
    table.client(
        "timestamps and SACK blocks: " + number,
        [&](Segment& in) { in.options = nops(2) + timestamps(1, 2000) + nops(2) + in_blocks; },
        [&](Segment& out) {
          shifted(out);
          out.options = nops(2) + timestamps(1001, 0) + nops(2) + out_blocks;
        });
    table.client(
        "SACK blocks before timestamps, both at odd offsets: " + number,
        [&](Segment& in) { in.options = nops(1) + in_blocks + timestamps(1, 2000) + nops(3); },
        [&](Segment& out) {
          shifted(out);
          out.options = nops(1) + out_blocks + timestamps(1001, 0) + nops(3);
        });
  }
}

/// Options whose bytes must come out as they went in.
void add_other_options(Table& table) {
  const auto same = [&](std::string name, const PacketBytes& options) {
    table.client(std::move(name), [&](Segment& in) { in.options = options; }, shifted);
  };
  const auto hidden = timestamps(1, 2000);  // not shifted: nobody may find it
  same("end of options hides what follows", PacketBytes{0} + hidden + nops(1));
  same("option of length 0", PacketBytes{99, 0} + hidden);
  same("option of length 1", PacketBytes{99, 1} + hidden);
  same("option beyond the header", PacketBytes{99, 13} + hidden);
  same("option without a length", nops(3) + PacketBytes{99});
  same("timestamps of length 9", PacketBytes{8, 9, 1, 2, 3, 4, 5, 6, 7} + nops(3));
  same("timestamps of length 11", PacketBytes{8, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9} + nops(1));
  same("timestamps that end beyond the header", PacketBytes{1, 1, 8, 10, 1, 2, 3, 4});
  same("SACK of no block", PacketBytes{5, 2} + nops(2));
  same("SACK of half a block", PacketBytes{5, 6, 1, 2, 3, 4} + nops(2));
  same("SACK of 11 bytes", PacketBytes{5, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9} + nops(1));
  same("common words, but the SACK is longer than the header",
       nops(2) + PacketBytes{99, 10, 1, 2, 3, 4, 5, 6, 7, 8} + PacketBytes{1, 1, 5, 18} +
           some_bytes(8));
  table.client(
      "unknown options of odd lengths around timestamps",
      [](Segment& in) {
        in.options = PacketBytes{99, 3, 8} + timestamps(1, 2000) + PacketBytes{253, 5, 8, 10, 1} +
                     PacketBytes{99, 2};
      },
      [](Segment& out) {
        shifted(out);
        out.options = PacketBytes{99, 3, 8} + timestamps(1001, 0) + PacketBytes{253, 5, 8, 10, 1} +
                      PacketBytes{99, 2};
      });
  table.client(
      "timestamps, then a SACK option that lies about its length",
      [](Segment& in) {
        in.options = nops(2) + timestamps(1, 2000) + PacketBytes{1, 1, 5, 18} + some_bytes(8);
      },
      [](Segment& out) {
        shifted(out);
        out.options = nops(2) + timestamps(1001, 0) + PacketBytes{1, 1, 5, 18} + some_bytes(8);
      });
}

/// The segment with a payload that makes the TCP checksum of what `of` builds from it 0: a payload
/// equal to the checksum cancels it.
Segment with_checksum_zero(Segment segment, const std::function<PacketBytes(Segment)>& of) {
  segment.payload = {0, 0};
  const PacketBytes packet = of(segment);
  const size_t at = segment.from.address.is_v4() ? 36 : 56;
  segment.payload = {packet[at], packet[at + 1]};
  CHECK(read16(of(segment), at) == 0);
  return segment;
}

void add_checksums(Table& table) {
  const size_t at = table.v6() ? 56 : 36;
  const auto becomes = [&](Segment in) {
    in.from = table.pair().server.local;
    in.to = table.pair().server.remote;
    --in.ttl;
    shifted(in);
    return packet_of(in);
  };
  const Segment zero_in = with_checksum_zero(table.from_client(), packet_of);
  table.client("checksum 0 comes in", [&](Segment& in) { in = zero_in; }, shifted);
  table.client(
      "checksum 0xffff comes in, its other zero", [&](Segment& in) { in = zero_in; }, shifted);
  write16(table.last().packet, at, 0xffff);
  const Segment zero_out = with_checksum_zero(table.from_client(), becomes);
  table.client("checksum 0 goes out", [&](Segment& in) { in = zero_out; }, shifted);

  table.client(
      "checksum still to be completed",
      [](Segment& in) {
        in.partial_checksum = true;
        in.options = nops(1) + timestamps(1, 2000) + nops(1);
        in.payload = some_bytes(99);
      },
      [](Segment& out) {
        shifted(out);
        out.options = nops(1) + timestamps(1001, 0) + nops(1);
      });
  table.client("a wrong checksum stays wrong by as much", [](Segment&) {}, shifted);
  for (PacketBytes* packet : {&table.last().packet, &table.last().expected}) {
    const uint32_t sum = read16(*packet, at) + 0x55u;
    write16(*packet, at, static_cast<uint16_t>((sum & 0xffff) + (sum >> 16)));
  }
}

void add_sizes(Table& table) {
  const size_t headers = table.v6() ? 60 : 40;
  const auto data = [&](size_t size) {
    return [size](Segment& in) { in.payload = some_bytes(size); };
  };
  table.pair().to_server.mtu = 1000;
  table.client("as large as the way out takes", data(1000 - headers), shifted);
  Segment larger = table.from_client();
  larger.payload = some_bytes(1001 - headers);
  table.left("larger than the way out takes", packet_of(larger), FL_SPLICE_UP_TOO_BIG);

  larger.payload = some_bytes(3000);
  const auto super = [&](std::string name, uint32_t gso_size, fl_splice_verdict verdict) {
    table.left(std::move(name), packet_of(larger), verdict).gso_size = gso_size;
  };
  super("super-packet of segments too large", static_cast<uint32_t>(1001 - headers),
        FL_SPLICE_UP_TOO_BIG);
  table.client("super-packet of segments that just fit", data(3000), shifted);
  table.last().gso_size = static_cast<uint32_t>(1000 - headers);
  table.client("super-packet with little payload", data(1), shifted);
  table.last().gso_size = 1460;
  table.pair().to_server.mtu = 1500;

  table.client("Ethernet padding", data(1), shifted);
  for (PacketBytes* packet : {&table.last().packet, &table.last().expected}) {
    packet->insert(packet->end(), {0xde, 0xad, 0xbe});
  }
}

void add_not_translated(Table& table) {
  const auto left = [&](std::string name, const Change& change, fl_splice_verdict verdict) {
    Segment in = table.from_client();
    change(in);
    table.left(std::move(name), packet_of(in), verdict);
  };
  const auto set_flags = [](uint8_t flags) { return [flags](Segment& in) { in.flags = flags; }; };
  left("SYN", set_flags(kSyn), FL_SPLICE_UP_SYN);
  left("SYN, ACK", set_flags(kSyn | kAck), FL_SPLICE_UP_SYN);
  left("SYN, RST", set_flags(kSyn | kRst), FL_SPLICE_UP_SYN);
  left("last hop", [](Segment& in) { in.ttl = 1; }, FL_SPLICE_DROP_TTL);
  left("no hop", [](Segment& in) { in.ttl = 0; }, FL_SPLICE_DROP_TTL);
  left("another port", [](Segment& in) { in.from.port = 40001; }, FL_SPLICE_NO_RULE);
  left(
      "ports the wrong way round", [](Segment& in) { std::swap(in.from.port, in.to.port); },
      FL_SPLICE_NO_RULE);
}

void add_malformed(Table& table) {
  const size_t tcp = table.v6() ? 40 : 20;
  const PacketBytes good = packet_of(table.from_client());
  const auto left = [&](std::string name, const std::function<void(PacketBytes&)>& change,
                        fl_splice_verdict verdict = FL_SPLICE_DROP_MALFORMED) {
    PacketBytes packet = good;
    change(packet);
    table.left(std::move(name), packet, verdict);
  };
  const auto set_length = [&](PacketBytes& packet, int more) {
    const size_t at = table.v6() ? 4 : 2;
    write16(packet, at, static_cast<uint16_t>(read16(packet, at) + more));
  };
  left("TCP header of 16 bytes", [&](PacketBytes& p) { p[tcp + 12] = 0x40; });
  left("TCP header beyond the packet", [&](PacketBytes& p) { p[tcp + 12] = 0x60; });
  left("TCP header in the padding", [&](PacketBytes& p) {
    p[tcp + 12] = 0x60;
    p.resize(p.size() + 8);
  });
  left("packet cut off in the TCP header", [&](PacketBytes& p) { p.resize(tcp + 19); });
  left(
      "packet cut off in the ports", [&](PacketBytes& p) { p.resize(tcp + 3); }, FL_SPLICE_NO_RULE);
  left("length beyond the packet", [&](PacketBytes& p) { set_length(p, 1); });
  left("length that cuts the TCP header", [&](PacketBytes& p) { set_length(p, -1); });
  left("length of zero", [&](PacketBytes& p) { write16(p, table.v6() ? 4 : 2, 0); });
}

void add_ipv4_only(Table& table) {
  PacketBytes packet = packet_of(table.from_client());
  const auto fragment = [&](std::string name, uint16_t field, fl_splice_verdict verdict) {
    PacketBytes changed = packet;
    write16(changed, 6, field);
    table.left(std::move(name), changed, verdict);
  };
  fragment("first fragment", 0x2000, FL_SPLICE_DROP_FRAGMENT);
  fragment("middle fragment", 0x2001, FL_SPLICE_NO_RULE);
  fragment("last fragment", 0x0001, FL_SPLICE_NO_RULE);
  PacketBytes options = packet;
  options[0] = 0x46;
  options.insert(options.begin() + 20, {1, 1, 1, 0});
  write16(options, 2, 44);
  table.left("IP options", options, FL_SPLICE_UP_OPTIONS);
  write16(options, 6, 0x2000);
  table.left("first fragment with IP options", options, FL_SPLICE_DROP_FRAGMENT);
  packet[0] = 0x44;
  table.left("IP header of 16 bytes", packet, FL_SPLICE_NO_RULE);
  packet[0] = 0x45;
  packet[9] = 17;
  table.left("UDP", packet, FL_SPLICE_NO_RULE);
}

PacketBytes with_extension(PacketBytes packet, uint8_t kind, const PacketBytes& extension) {
  packet[6] = kind;
  packet.insert(packet.begin() + 40, extension.begin(), extension.end());
  write16(packet, 4, static_cast<uint16_t>(packet.size() - 40));
  return packet;
}

void add_ipv6_only(Table& table) {
  const PacketBytes packet = packet_of(table.from_client());
  const PacketBytes options{6, 0, 1, 4, 0, 0, 0, 0};
  table.left("hop-by-hop options", with_extension(packet, 0, options), FL_SPLICE_UP_OPTIONS);
  table.left("destination options", with_extension(packet, 60, options), FL_SPLICE_UP_OPTIONS);
  table.left("first fragment", with_extension(packet, 44, {6, 0, 0, 1, 0, 0, 0, 9}),
             FL_SPLICE_DROP_FRAGMENT);
  table.left("atomic fragment", with_extension(packet, 44, {6, 0, 0, 0, 0, 0, 0, 9}),
             FL_SPLICE_DROP_FRAGMENT);
  table.left("later fragment", with_extension(packet, 44, {6, 0, 0, 8, 0, 0, 0, 9}),
             FL_SPLICE_NO_RULE);
  table.left("unknown extension header", with_extension(packet, 135, options), FL_SPLICE_NO_RULE);
}

/// An IPv6 packet between the IPv4-mapped addresses of an IPv4 connection.
void add_mapped(std::vector<SpliceVector>& out) {
  SpliceVector vector{.name = "IPv4-mapped addresses in an IPv6 header",
                      .pair = vector_pair(false),
                      .verdict = FL_SPLICE_NO_RULE};
  const FourTuple& tuple = vector.pair.client;
  vector.packet =
      packet_of({.from = vector_pair(true).client.remote, .to = vector_pair(true).client.local});
  std::ranges::copy(tuple.remote.address.bytes(), vector.packet.begin() + 8);
  std::ranges::copy(tuple.local.address.bytes(), vector.packet.begin() + 24);
  complete_checksums(vector.packet, false);
  vector.expected = vector.packet;
  out.push_back(vector);
}

/// A router's answer to a packet of ours on its way to the client.
void add_icmp(Table& table) {
  const FourTuple& tuple = table.pair().client;
  PacketBytes quoted = packet_of({.from = tuple.local, .to = tuple.remote});
  PacketBytes icmp{static_cast<uint8_t>(table.v6() ? 2 : 3),
                   static_cast<uint8_t>(table.v6() ? 0 : 4),
                   0,
                   0,
                   0,
                   0,
                   5,
                   0};
  Segment outer = {.from = {address(table.v6() ? "2001:db8:9::9" : "203.0.113.9"), 0},
                   .to = tuple.local};
  PacketBytes packet = packet_of(outer);
  packet.resize(table.v6() ? 40 : 20);
  packet[table.v6() ? 6 : 9] = table.v6() ? 58 : 1;
  packet = packet + icmp + quoted;
  write16(packet, table.v6() ? 4 : 2,
          static_cast<uint16_t>(table.v6() ? packet.size() - 40 : packet.size()));
  table.left("ICMP error about a spliced connection", packet, FL_SPLICE_UP_ICMP);
}

}  // namespace

nic::SplicePair vector_pair(bool v6) {
  SplicePair pair{
      .client = {{address("192.0.2.1"), 80}, {address("198.51.100.7"), 40000}},
      .server = {{address("10.0.0.1"), 61000}, {address("10.0.0.2"), 8080}},
      .seq_offset = 0x01000000,
      .ack_offset = 0u - 0x02000000,
      .ts_value_offset = 1000,
      .ts_echo_offset = 0u - 2000,
      .timestamps = true,
      .sack = true,
      .to_server = {.interface = 1, .next_hop = address("10.77.0.1"), .mtu = 1500},
      .to_client = {.interface = 1, .next_hop = address("10.77.0.1"), .mtu = 1500},
  };
  if (!v6) return pair;
  pair.client = {{address("2001:db8::1"), 80}, {address("2001:db8:1::7"), 40000}};
  pair.server = {{address("fd00::1"), 61000}, {address("fd00::2"), 8080}};
  pair.to_server.next_hop = pair.to_client.next_hop = address("fd77::1");
  return pair;
}

std::vector<SpliceVector> splice_vectors() {
  std::vector<SpliceVector> out;
  for (const bool v6 : {false, true}) {
    Table table(out, v6);
    add_numbers(table);
    add_windows(table);
    add_timestamps(table);
    add_sack(table);
    add_other_options(table);
    add_checksums(table);
    add_sizes(table);
    add_not_translated(table);
    add_malformed(table);
    v6 ? add_ipv6_only(table) : add_ipv4_only(table);
    add_icmp(table);
  }
  add_mapped(out);
  return out;
}

uint16_t ether_type_of(const PacketBytes& packet) {
  return !packet.empty() && packet[0] >> 4 == 6 ? 0x86dd : 0x0800;
}

}  // namespace fairlead::test
