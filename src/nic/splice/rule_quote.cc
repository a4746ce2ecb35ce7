// The splice rule backwards, on the start of a packet.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "nic/splice/rule.h"
#include "nic/splice/splice_rule.h"

namespace fairlead::nic {
namespace {

/// Undoes `rule`, as far as headers go.
fl_splice_rule inverse(const FourTuple& tuple, const fl_splice_rule& rule) {
  const fl_splice_key key = key_of(tuple);
  fl_splice_rule out = rule;
  out.source = key.source;
  out.destination = key.destination;
  out.source_port = key.source_port;
  out.destination_port = key.destination_port;
  out.seq_offset = -rule.seq_offset;
  out.ack_offset = -rule.ack_offset;
  out.ts_value_offset = -rule.ts_value_offset;
  out.ts_echo_offset = -rule.ts_echo_offset;
  // In one's complement the complement is the negative.
  out.address_sum = static_cast<uint16_t>(~fl_fold16(rule.address_sum));
  out.port_sum = static_cast<uint16_t>(~fl_fold16(rule.port_sum));
  out.window_shift = static_cast<int8_t>(-rule.window_shift);
  return out;
}

bool was_made_by(const fl_splice_rule& rule, ByteSpan quote, size_t ip_size) {
  const bool v6 = ip_size == FL_IPV6_HEADER;
  if (quote.size() < ip_size + 8) return false;
  if (!fl_is_plain(quote.data(), v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP)) return false;
  fl_splice_key quoted;
  fl_splice_read_key(&quoted, quote.data(), quote.data() + ip_size);
  const fl_splice_key made{.source = rule.source,
                           .destination = rule.destination,
                           .source_port = rule.source_port,
                           .destination_port = rule.destination_port,
                           .reserved = 0};
  return std::memcmp(&quoted, &made, sizeof made) == 0;
}

void give_addresses(const fl_splice_rule& to, uint8_t* ip) {
  const auto* source = reinterpret_cast<const uint8_t*>(to.source.words);
  const auto* destination = reinterpret_cast<const uint8_t*>(to.destination.words);
  if ((to.flags & FL_SPLICE_V6) != 0) {
    std::copy_n(source, 16, ip + 8);
    std::copy_n(destination, 16, ip + 24);
    return;
  }
  std::copy_n(source + 12, 4, ip + 12);
  std::copy_n(destination + 12, 4, ip + 16);
  fl_put16(ip + 10, fl_checksum_update(fl_get16(ip + 10), to.address_sum));
}

/// Of a TCP header the first `size` bytes, 8 at least.
void give_tcp(const fl_splice_rule& to, uint8_t* tcp, size_t size) {
  constexpr size_t kChecksumEnd = 18;
  std::array<uint8_t, FL_TCP_HEADER + FL_MAX_OPTIONS> whole{};
  std::copy_n(tcp, size, whole.begin());
  const uint32_t header_size = std::max<uint32_t>((whole[12] >> 4) * 4u, FL_TCP_HEADER);
  const fl_splice_sums sums{.pseudo = to.address_sum,
                            .rest = fl_fold32(fl_splice_translate_tcp(
                                &to, whole.data(), header_size, whole.data() + size))};
  if (size >= kChecksumEnd) fl_splice_complete_checksum(whole.data(), sums, 0);
  std::copy_n(whole.begin(), size, tcp);
}

}  // namespace

size_t untranslate(const FourTuple& tuple, const fl_splice_rule& rule, ByteSpan quote,
                   MutableByteSpan headers) {
  const size_t ip_size = (rule.flags & FL_SPLICE_V6) != 0 ? FL_IPV6_HEADER : FL_IPV4_HEADER;
  if (!was_made_by(rule, quote, ip_size)) return 0;
  const size_t size = std::min<size_t>(quote.size(), ip_size + FL_TCP_HEADER + FL_MAX_OPTIONS);
  CHECK(headers.size() >= size);
  std::copy_n(quote.begin(), size, headers.begin());
  const fl_splice_rule to = inverse(tuple, rule);
  give_addresses(to, headers.data());
  give_tcp(to, headers.data() + ip_size, size - ip_size);
  return size;
}

}  // namespace fairlead::nic
