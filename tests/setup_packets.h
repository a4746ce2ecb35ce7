// Handshakes with a listener whose connections are set up by nic/setup: a client that is written
// independently of it, and packets with what must become of them. One table, run three times: in
// user space (setup_offload_test), and by the tc and the XDP program under BPF_PROG_TEST_RUN
// (setup_program_test).
//
//     client 198.51.100.7:40000 ── 192.0.2.1:80, 2001:db8::1:80
//            2001:db8:1::7
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "nic/setup/setup_tables.h"
#include "tests/splice_packets.h"
#include "wire/tcp_options.h"

namespace fairlead::test {

/// The listener of all vectors, and with what its SYN-ACKs are made.
Endpoint setup_listener_endpoint(bool v6);
inline constexpr fl_setup_listener kSetupListener{
    .mss = 1460, .window = 65535, .window_scale = 7, .flags = FL_SETUP_ECN, .reserved = 0};
inline constexpr fl_setup_secrets kSetupSecrets{
    .cookie = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, {0x1716151413121110, 0x1f1e1d1c1b1a1918}},
    .timestamps = {0x2726252423222120, 0x2f2e2d2c2b2a2928}};

/// Option bytes as wire::TcpOptions::emit() writes them.
PacketBytes bytes_of(const wire::TcpOptions& options);
/// A SYN of the client to the listener.
Segment syn_segment(bool v6, const PacketBytes& options);
/// With what Linux offers: MSS 1460, SACK, timestamps, scale 7.
Segment linux_syn(bool v6);

/// A TCP segment taken apart again, checksums verified.
struct ReadSegment {
  FourTuple tuple;  // local: its source
  uint32_t seq = 0;
  uint32_t ack = 0;
  uint8_t flags = 0;
  uint16_t window = 0;
  uint8_t hop_limit = 0;
  uint8_t traffic_class = 0;
  wire::TcpOptions options;
  size_t options_size = 0;
  PacketBytes payload;
};
/// nullopt: malformed, or a checksum is wrong.
std::optional<ReadSegment> read_segment(ByteSpan packet);

/// The client's answer to a SYN-ACK: sequence number after its SYN's, acknowledging it, timestamps
/// as RFC 7323 has them.
Segment ack_segment(const ReadSegment& syn_ack, uint32_t ts_value, const PacketBytes& payload = {});

struct SetupVector {
  std::string name;
  PacketBytes packet;  // from its IP header on
  fl_setup_verdict verdict = FL_SETUP_ANSWERED;
};
/// SYNs and what is none, at the edges. NOT_OURS stands for an ACK as well, whatever it proves.
std::vector<SetupVector> setup_vectors();
/// A random SYN, or nearly one.
PacketBytes random_syn(Rng& rng);

}  // namespace fairlead::test
