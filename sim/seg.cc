#include "sim/seg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv6.h"

namespace fairlead::sim {
namespace {

using namespace wire::tcp_flag;

constexpr size_t kMaxOptions = wire::TcpOptions::kMaxSize;

template <typename T>
void append(std::vector<uint8_t>& out, const T& header) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  out.insert(out.end(), bytes, bytes + sizeof header);
}

uint64_t pseudo_sum(const SegContext& context, size_t length) {
  return pseudo_header_sum({.source = context.source.address,
                            .destination = context.destination.address,
                            .protocol = wire::ip_protocol::kTcp,
                            .length = static_cast<uint32_t>(length)});
}

void append_ip(std::vector<uint8_t>& frame, const SegContext& context, wire::Ecn ecn,
               size_t length) {
  if (context.source.address.is_v4()) {
    wire::Ipv4Header ip;
    ip.tos = static_cast<uint8_t>(ecn);
    ip.total_length = static_cast<uint16_t>(sizeof ip + length);
    ip.fragment = wire::Ipv4Header::kDontFragment;
    ip.source = context.source.address.v4_value();
    ip.destination = context.destination.address.v4_value();
    ip.checksum =
        checksum_finish(checksum_add(0, {reinterpret_cast<const uint8_t*>(&ip), sizeof ip}));
    append(frame, ip);
  } else {
    wire::Ipv6Header ip;
    ip.version_class_flow = 0x60000000u | static_cast<uint32_t>(ecn) << 20;
    ip.payload_length = static_cast<uint16_t>(length);
    ip.source = context.source.address.bytes();
    ip.destination = context.destination.address.bytes();
    append(frame, ip);
  }
}

/// The TCP segment of a frame, and the ECN bits of its IP header.
struct Ip {
  ByteSpan payload;
  wire::Ecn ecn;
  IpAddress source, destination;
};

std::optional<Ip> decode_ip(ByteSpan frame, std::string& why) {
  auto ethernet = wire::EthernetView::checked(frame);
  if (!ethernet) return why = "short Ethernet frame", std::nullopt;
  if (ethernet->type() == wire::ether_type::kIpv4) {
    auto ip = wire::Ipv4View::checked(ethernet->payload());
    if (!ip || ip->header().protocol != wire::ip_protocol::kTcp) {
      return why = "not TCP over IPv4", std::nullopt;
    }
    if (!ip->checksum_ok()) return why = "bad IPv4 checksum", std::nullopt;
    return Ip{ip->payload(), ip->ecn(), ip->source(), ip->destination()};
  }
  auto ip = wire::Ipv6View::checked(ethernet->payload());
  if (!ip || ip->protocol() != wire::ip_protocol::kTcp) {
    return why = "not TCP over IPv6", std::nullopt;
  }
  return Ip{ip->payload(), ip->ecn(), ip->source(), ip->destination()};
}

std::string flags_text(uint8_t flags) {
  constexpr std::array<std::pair<uint8_t, char>, 8> kNames{{{kSyn, 'S'},
                                                            {kFin, 'F'},
                                                            {kRst, 'R'},
                                                            {kPsh, 'P'},
                                                            {kUrg, 'U'},
                                                            {kEce, 'E'},
                                                            {kCwr, 'W'},
                                                            {kAck, '.'}}};
  std::string text;
  for (auto [bit, name] : kNames) {
    if ((flags & bit) != 0) text += name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string script_bytes(uint32_t at, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(script_byte(at + static_cast<uint32_t>(i)));
  }
  return bytes;
}

Seg& Seg::sack(std::initializer_list<std::pair<uint32_t, uint32_t>> blocks) {
  options_.sack_count = 0;
  for (auto [left, right] : blocks) {
    options_.sack[options_.sack_count++] = {SeqNum(left), SeqNum(right)};
  }
  return *this;
}

uint32_t Seg::length() const {
  return static_cast<uint32_t>(size()) + (has(kSyn) ? 1 : 0) + (has(kFin) ? 1 : 0);
}

std::vector<uint8_t> Seg::encode(const SegContext& context) const {
  std::array<uint8_t, kMaxOptions> options{};
  size_t options_size = 0;
  if (raw_options_.empty()) {
    wire::TcpOptions absolute = options_;
    for (unsigned i = 0; i < absolute.sack_count; ++i) {
      absolute.sack[i].left += context.destination_isn;
      absolute.sack[i].right += context.destination_isn;
    }
    options_size = absolute.emit(options);
  } else {
    size_t size = std::min(raw_options_.size(), kMaxOptions);
    std::copy_n(raw_options_.begin(), size, options.begin());
    options_size = (size + 3) / 4 * 4;
  }
  uint32_t relative = seq_.value_or(0);
  std::string bytes = payload_.value_or(script_bytes(relative, size_.value_or(0)));

  wire::TcpHeader tcp;
  tcp.source_port = source_port_.value_or(context.source.port);
  tcp.destination_port = destination_port_.value_or(context.destination.port);
  tcp.seq = relative + context.source_isn;
  tcp.ack = has(kAck) ? ack_.value_or(0) + context.destination_isn : 0;
  auto words = static_cast<uint8_t>((sizeof tcp + options_size) / 4);
  tcp.data_offset = static_cast<uint8_t>(data_offset_.value_or(words) << 4);
  tcp.flags = flags_;
  tcp.window = window_.value_or(65535);
  tcp.urgent = urgent_.value_or(0);

  std::vector<uint8_t> frame;
  append(frame,
         wire::EthernetHeader{context.destination_mac, context.source_mac,
                              Be16(context.source.address.is_v4() ? wire::ether_type::kIpv4
                                                                  : wire::ether_type::kIpv6)});
  size_t length = sizeof tcp + options_size + bytes.size();
  append_ip(frame, context, get_ecn(), length);
  size_t l4 = frame.size();
  append(frame, tcp);
  frame.insert(frame.end(), options.begin(),
               options.begin() + static_cast<ptrdiff_t>(options_size));
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  uint64_t sum = checksum_add(pseudo_sum(context, length), ByteSpan(frame).subspan(l4));
  auto checksum = static_cast<uint16_t>(checksum_finish(sum) ^ (bad_checksum_ ? 0x5555 : 0));
  reinterpret_cast<wire::TcpHeader*>(&frame[l4])->checksum = checksum;
  return frame;
}

std::optional<Seg> Seg::decode(ByteSpan frame, const SegContext& context, std::string& why) {
  std::optional<Ip> ip = decode_ip(frame, why);
  if (!ip) return std::nullopt;
  auto tcp = wire::TcpView::checked(ip->payload);
  if (!tcp) return why = "malformed TCP header", std::nullopt;
  SegContext addresses = context;
  addresses.source.address = ip->source;
  addresses.destination.address = ip->destination;
  uint64_t sum = pseudo_sum(addresses, ip->payload.size());
  if (!checksum_ok(checksum_add(sum, ip->payload))) return why = "bad TCP checksum", std::nullopt;

  Seg s;
  const wire::TcpHeader& h = tcp->header();
  s.flags_ = h.flags;
  s.seq_ = h.seq.value() - context.source_isn;
  if (s.has(kAck)) s.ack_ = h.ack.value() - context.destination_isn;
  s.window_ = h.window.value();
  s.urgent_ = h.urgent.value();
  s.source_port_ = h.source_port.value();
  s.destination_port_ = h.destination_port.value();
  s.payload_ = std::string(tcp->payload().begin(), tcp->payload().end());
  s.options_ = wire::TcpOptions::parse(tcp->options());
  for (unsigned i = 0; i < s.options_.sack_count; ++i) {
    s.options_.sack[i].left = s.options_.sack[i].left - context.destination_isn;
    s.options_.sack[i].right = s.options_.sack[i].right - context.destination_isn;
  }
  s.ecn_ = ip->ecn;
  return s;
}

std::string Seg::mismatch(const Seg& actual) const {
  std::string text;
  auto differ = [&](const char* what, auto wanted, auto got) {
    if (wanted != got)
      text += fmt::format("{}{}: wanted {}, got {}", text.empty() ? "" : "; ", what, wanted, got);
  };
  auto named = [&](const char* what, const auto& wanted, const auto& got) {
    if (wanted && !got) text += fmt::format("; {}: wanted {}, got none", what, +*wanted);
    if (wanted && got) differ(what, +*wanted, +*got);
  };
  uint8_t mask = has(kPsh) ? 0xff : static_cast<uint8_t>(~kPsh);
  differ("flags", flags_text(flags_ & mask), flags_text(actual.flags_ & mask));
  named("seq", seq_, actual.seq_);
  named("ack", ack_, actual.ack_);
  named("win", window_, actual.window_);
  named("source port", source_port_, actual.source_port_);
  named("destination port", destination_port_, actual.destination_port_);
  if (size_) differ("size", *size_, actual.size());
  if (payload_) differ("payload", *payload_, *actual.payload_);
  if (size_ && actual.seq_ && *size_ == actual.size() &&
      *actual.payload_ != script_bytes(*actual.seq_, *size_)) {
    text += "; payload is not the stream's";
  }
  named("mss", options_.mss, actual.options_.mss);
  named("wscale", options_.window_scale, actual.options_.window_scale);
  if (options_.sack_permitted) differ("sackOK", true, actual.options_.sack_permitted);
  auto ts = actual.options_.timestamps;
  if (options_.timestamps && options_.timestamps != ts) text += "; timestamps differ";
  if (ts_echo_ && (!ts || ts->echo != *ts_echo_)) {
    text += fmt::format("; TSecr: wanted {}, got {}", *ts_echo_, ts ? ts->echo : 0);
  }
  if (no_ts_ && ts) text += "; has timestamps";
  if (no_sack_) differ("SACK blocks", 0u, unsigned{actual.options_.sack_count});
  if (options_.sack_count > 0) {
    differ("SACK blocks", unsigned{options_.sack_count}, unsigned{actual.options_.sack_count});
    for (unsigned i = 0; i < options_.sack_count && i < actual.options_.sack_count; ++i) {
      differ("SACK left", options_.sack[i].left.value(), actual.options_.sack[i].left.value());
      differ("SACK right", options_.sack[i].right.value(), actual.options_.sack[i].right.value());
    }
  }
  if (ecn_) differ("ECN", static_cast<int>(*ecn_), static_cast<int>(actual.get_ecn()));
  return text;
}

std::string Seg::to_string() const {
  std::string text = fmt::format("{:<5}", flags_text(flags_));
  if (seq_) text += fmt::format(" {}:{}({})", *seq_, *seq_ + static_cast<uint32_t>(size()), size());
  if (!seq_ && size_) text += fmt::format(" ({})", *size_);
  if (ack_) text += fmt::format(" ack {}", *ack_);
  if (window_) text += fmt::format(" win {}", *window_);
  std::string options;
  auto add = [&](const std::string& one) { options += (options.empty() ? "" : ",") + one; };
  if (options_.mss) add(fmt::format("mss {}", *options_.mss));
  if (options_.sack_permitted) add("sackOK");
  if (options_.timestamps) {
    add(fmt::format("TS {}:{}", options_.timestamps->value, options_.timestamps->echo));
  }
  if (ts_echo_) add(fmt::format("TSecr {}", *ts_echo_));
  if (options_.window_scale) add(fmt::format("wscale {}", *options_.window_scale));
  for (unsigned i = 0; i < options_.sack_count; ++i) {
    add(fmt::format("sack {}:{}", options_.sack[i].left.value(), options_.sack[i].right.value()));
  }
  if (!raw_options_.empty()) add(fmt::format("raw {} bytes", raw_options_.size()));
  if (!options.empty()) text += " <" + options + ">";
  if (get_ecn() != wire::Ecn::kNotCapable) {
    text += get_ecn() == wire::Ecn::kCongestion ? " CE" : " ECT";
  }
  return text;
}

}  // namespace fairlead::sim
