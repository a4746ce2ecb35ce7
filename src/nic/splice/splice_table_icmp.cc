// SpliceTable and ICMP: errors about packets that we have translated, and those we send ourselves.
//
//     client C ──[C → V]──▶ rule ──[L → D]──▶ router R ─ ─▶ server D
//     client C ◀─[error about C → V]─ ◀─[error about L → D]─ R
//
// Who is told is decided as a network address translator does (RFC 5508 §4.2): the error seems to
// come from R, or, if D itself has sent it, from V, which is what C knows D by. It goes the way
// that D's packets go.
//
// An error is believed when the quoted SEQ lies in the window that D has last announced (RFC 5927
// §4.1): a rule does not know how much of it C has sent. C does, and will look again.
#include "nic/splice/splice_rule.h"
#include "nic/splice/splice_table.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

namespace fairlead::nic {
namespace {

struct Carrier {
  IpAddress source;
  uint8_t hop_limit;
};

std::optional<Carrier> carrier_of(const port::RxPacket& packet) {
  const auto frame = wire::EthernetView::checked(packet.frame);
  if (!frame) return std::nullopt;
  if (const auto v4 = wire::Ipv4View::checked(frame->payload())) {
    return Carrier{.source = v4->source(), .hop_limit = v4->header().ttl};
  }
  const auto v6 = wire::Ipv6View::checked(frame->payload());
  if (!v6) return std::nullopt;
  return Carrier{.source = v6->source(), .hop_limit = v6->header().hop_limit};
}

/// Not to be the source of what is sent off its link: fe80::/10 (RFC 4291 §2.5.6).
bool is_link_local(const IpAddress& address) {
  return address.is_v6() && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

/// `peer` carries the acknowledgements of what has the sequence number `seq`, as it came.
bool in_flight(const fl_splice_rule& peer, uint32_t seq) { return seq - peer.acked < peer.window; }

/// As `error` has it, its MTU one that is believed. nullopt: an error of no use.
std::optional<wire::IcmpHeader> believed(const wire::TcpError& error) {
  wire::IcmpHeader header = error.header;
  if (error.kind == wire::TcpError::Kind::kOther) return std::nullopt;
  if (error.kind != wire::TcpError::Kind::kTooBig) return header;
  const std::optional<uint32_t> mtu = error.path_mtu();
  if (!mtu) return std::nullopt;
  // IPv4: the first half may say something else (RFC 4884 §4.1).
  const bool v4 = error.tuple.local.address.is_v4();
  header.rest = v4 ? (header.rest.value() & 0xffff'0000u) | *mtu : *mtu;
  return header;
}

}  // namespace

bool SpliceTable::translate_error(Direction& back, const wire::TcpError& error,
                                  const port::RxPacket& packet, Time now, port::TxPacket& out) {
  if (!errors_.allow(now, kAnswersPerSecond)) return ++counters_.icmp_limited, false;
  const Direction& quoted = back.splice->other(back);
  const std::optional<Carrier> carrier = carrier_of(packet);
  const std::optional<wire::IcmpHeader> header = believed(error);
  const uint32_t seq = error.seq.value() - quoted.rule.seq_offset;
  std::array<uint8_t, port::kMaxQuotedHeaders> headers;
  const size_t size = untranslate(quoted.tuple, quoted.rule, error.quote, headers);
  if (!carrier || !header || size == 0 ||
      (back.splice->open && !in_flight(current_rule(back, in_kernel(*back.splice)), seq))) {
    return ++counters_.drop_bad_icmp, false;
  }
  if (carrier->hop_limit <= 1) return ++counters_.drop_ttl, false;
  if (!find_way(back)) return ++counters_.drop_no_path, false;
  const bool ours = carrier->source == back.tuple.remote.address || is_link_local(carrier->source);
  port::build_icmp_error(out, {.source = ours ? quoted.tuple.local.address : carrier->source,
                               .destination = quoted.tuple.remote.address,
                               .local_mac = back.path.local_mac,
                               .next_hop = back.path.next_hop,
                               .port_index = back.path.port_index,
                               .hop_limit = static_cast<uint8_t>(carrier->hop_limit - 1),
                               .header = *header,
                               .quoted_headers = ByteSpan(headers).first(size),
                               .quoted_rest = error.quote.subspan(size)});
  ++counters_.icmp_translated;
  return true;
}

// IPv4 without DF is answered as well: we are an end of that connection to its sender, not a
// router, and TCP without path-MTU discovery has sent more than the MSS that we offered.
SpliceTable::Made SpliceTable::answer_too_big(const Direction& direction,
                                              const port::RxPacket& packet, Time now,
                                              port::TxPacket& out) {
  const auto frame = wire::EthernetView::checked(packet.frame);
  if (!frame) return ++counters_.drop_malformed, Made::kNothing;
  if (!too_big_.allow(now, kAnswersPerSecond)) return ++counters_.too_big_limited, Made::kNothing;
  wire::IcmpHeader header;
  const bool v4 = direction.tuple.remote.address.is_v4();
  header.type = v4 ? wire::IcmpHeader::kUnreachable : wire::IcmpHeader::kV6PacketTooBig;
  header.code = v4 ? wire::IcmpHeader::kFragmentationNeeded : uint8_t{0};
  header.rest = uint32_t{direction.rule.mtu};
  port::build_icmp_error(out, {.source = direction.tuple.local.address,
                               .destination = direction.tuple.remote.address,
                               .local_mac = frame->destination(),
                               .next_hop = frame->source(),
                               .port_index = packet.port_index,
                               .header = header,
                               .quoted_headers = {},
                               .quoted_rest = frame->payload()});
  ++counters_.too_big_answered;
  return Made::kAnswer;
}

}  // namespace fairlead::nic
