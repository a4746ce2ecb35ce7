// Channel: what host stack and NIC stack tell each other when they are not one program: two cores
// joined by rings, two processes joined by a veth, two machines (AccelTCP, NSDI '20, appendix A).
//
//   host ──▶ NIC   listen 0x090E        handshakes with this endpoint are yours, or no longer
//            NIC ──▶ host   new connection 0x090A   a handshake is done; its ACK, often with data
//   host ──▶ NIC   teardown 0x090B      close this connection: all that is left to send, and FIN
//   host ──▶ NIC   splice 0x090C        make one connection of these two
//            NIC ──▶ host   closed 0x090D           how a teardown or a splice ended
//            NIC ──▶ host   load 0x090F             how full its table of closing connections is
//
// A message is an Ethernet frame whose type says which; all other frames are packets between host
// and network. Two messages are packets, one as it came, one as it is to go out, with another type
// and a trailer. Layouts are in doc/channel.md.
//
// A decoded message satisfies what its taker demands of it (SetupOffload::set_listener(),
// Teardown::take(), records_of()), whoever sent it. Reserved bits must be zero and a frame ends
// where its message does, but for what pads it to Ethernet's 60 bytes: a later version that adds
// something is refused, not misread.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "nic/setup/setup.h"
#include "nic/splice/rule.h"
#include "nic/splice/splice.h"
#include "nic/teardown/teardown.h"
#include "port/packet.h"
#include "wire/address.h"
#include "wire/ethernet.h"

namespace fairlead::nic {

namespace channel_type {
inline constexpr uint16_t kNewConnection = 0x090a;
inline constexpr uint16_t kTeardown = 0x090b;
inline constexpr uint16_t kSplice = 0x090c;
inline constexpr uint16_t kClosed = 0x090d;
inline constexpr uint16_t kListen = 0x090e;
inline constexpr uint16_t kLoad = 0x090f;
}  // namespace channel_type

/// The Ethernet addresses of a message that holds no packet.
struct ChannelLink {
  MacAddress destination;
  MacAddress source;
};

struct ListenMessage {
  Endpoint endpoint;                          // the unspecified address: any of the machine's
  std::optional<fl_setup_listener> listener;  // nullopt: no longer
};

/// What SetupOffload::on_packet() has found, with the packet it found it in.
struct NewConnectionMessage {
  NewConnection connection;
  port::RxPacket packet;  // of type IPv4 or IPv6 again; refers to the message
};

/// A Handover whose data is one run of bytes, in the message.
struct TeardownMessage {
  Handover flow;  // without data
  ByteSpan data;

  /// Refers to this.
  Handover handover() const {
    Handover whole = flow;
    whole.data = {&data, 1};
    return whole;
  }
};

/// How many connections the NIC stack is closing, and may be.
struct LoadMessage {
  uint32_t closing = 0;  // Teardown::active()
  uint32_t most = 1;     // not 0, nor below `closing`
};

using ChannelMessage = std::variant<ListenMessage, NewConnectionMessage, TeardownMessage,
                                    SplicePair, TeardownReport, SpliceReport, LoadMessage>;

/// Bytes: of the longest message that holds no packet, and of what a packet's frame grows by.
inline constexpr size_t kMaxChannelMessage = 192;
inline constexpr size_t kMaxChannelOverhead = 24;

/// Each writes a whole frame and returns its size; kNoBufferSpace: longer than `out`.
Result<size_t> encode(const ListenMessage& message, const ChannelLink& link, MutableByteSpan out);
Result<size_t> encode(const SplicePair& pair, const ChannelLink& link, MutableByteSpan out);
Result<size_t> encode(const TeardownReport& report, const ChannelLink& link, MutableByteSpan out);
Result<size_t> encode(const SpliceReport& report, const ChannelLink& link, MutableByteSpan out);
Result<size_t> encode(const LoadMessage& load, const ChannelLink& link, MutableByteSpan out);
/// `packet`: in which SetupOffload has found `connection`; a frame without tags.
Result<size_t> encode(const NewConnection& connection, const port::RxPacket& packet,
                      MutableByteSpan out);
/// kMessageTooLong: more than one IP packet takes. `out` has room for port::kMaxTcpHeaders at
/// least.
Result<size_t> encode(const Handover& handover, MutableByteSpan out);

/// What of the segment that completed a handshake matters for the connection.
struct ConfirmingSegment {
  const FourTuple& tuple;  // local: its destination
  SeqNum seq;
  SeqNum ack;
  uint8_t flags;  // wire::tcp_flag
  const wire::TcpOptions& options;
};

// decode() in two steps, for who parses the packet of a new connection anyhow.
/// First: that packet, as in NewConnectionMessage, unparsed. nullopt: the frame is no new
/// connection, or ends elsewhere than it should.
std::optional<port::RxPacket> new_connection_packet(MutableByteSpan frame);
/// Second: the connection, with what that packet was found to hold; `frame` as it was given to the
/// first. kBadMessage.
Result<NewConnection> decode_new_connection(ByteSpan frame, const ConfirmingSegment& segment);

/// The frame's type is one of channel_type's.
inline bool is_channel_message(ByteSpan frame) {
  if (frame.size() < wire::kEthernetSize) return false;
  const uint16_t type = reinterpret_cast<const wire::EthernetHeader*>(frame.data())->type.value();
  return type >= channel_type::kNewConnection && type <= channel_type::kLoad;
}
/// Any bytes are allowed. kBadMessage, with what is wrong in one line. What is returned may refer
/// to the frame, in which the packet of a new connection gets its own type back.
Result<ChannelMessage> decode(MutableByteSpan frame);

}  // namespace fairlead::nic
