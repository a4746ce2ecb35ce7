// Capture files, over libpcap: PcapWriter records frames, PcapReader gives them back, PcapPort is a
// Port between two files, for replaying a capture through a host stack.
//
// Files have nanosecond timestamps and Ethernet frames. A super-packet is recorded as the one long
// packet it is, its checksum completed, so that tcpdump and Wireshark read it without complaint.
#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "port/port.h"

namespace fairlead::port {

/// Longest frame recorded, bytes: what tcpdump uses, and more than any super-packet.
inline constexpr int kPcapSnapLength = 262144;

class PcapWriter {
 public:
  /// Creates or truncates the file. EIO with the reason when that is refused.
  static Result<PcapWriter> create(const std::string& path);

  void write(ByteSpan frame, Time when);
  /// As it would be on the wire: header and payload joined, checksum completed.
  void write(const TxPacket& packet, Time when);
  /// Pushes what is buffered to the file. EIO: some of it could not be written (disk full).
  Result<void> flush();

 private:
  struct Closer {
    void operator()(pcap_t* pcap) const { pcap_close(pcap); }
    void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
  };
  PcapWriter() = default;

  std::unique_ptr<pcap_t, Closer> format_;
  std::unique_ptr<pcap_dumper_t, Closer> dumper_;
  std::vector<uint8_t> joined_;
};

class PcapReader {
 public:
  struct Record {
    ByteSpan frame;  // until the next call of next()
    Time when;       // as recorded: since 1970 in captures of others
  };
  /// EIO: no such file, or not a capture. EOPNOTSUPP: its frames are not Ethernet's.
  static Result<PcapReader> open(const std::string& path);

  /// The next whole frame, nullopt at the end of the file. EBADMSG: the file is cut off or damaged.
  Result<std::optional<Record>> next();
  /// Frames left out because the capture holds only their beginning.
  uint64_t truncated() const { return truncated_; }

 private:
  struct Closer {
    void operator()(pcap_t* pcap) const { pcap_close(pcap); }
  };
  explicit PcapReader(pcap_t* pcap) : pcap_(pcap) {}

  std::unique_ptr<pcap_t, Closer> pcap_;
  uint64_t truncated_ = 0;
};

/// Receives from one file, transmits into another. Timing is the caller's: next_time() says when
/// the next frame was recorded, receive() hands frames up to the time set with set_now().
class PcapPort final : public Port {
 public:
  /// Either may be absent: nothing to receive, or what is sent is thrown away.
  PcapPort(PortInfo info, std::optional<PcapReader> in, std::optional<PcapWriter> out);

  /// Receives what was recorded up to then; stamps what is sent. Time::max() to start with:
  /// everything at once.
  void set_now(Time now) { now_ = now; }
  /// When the next frame was recorded; nullopt at the end of the file.
  std::optional<Time> next_time() const { return next_; }
  /// What ended the replay before the file's end, or kOk.
  const Error& read_error() const { return read_error_; }
  std::optional<PcapWriter>& output() { return out_; }

  const PortInfo& info() const override { return info_; }
  const PortCounters& counters() override;
  size_t receive(std::span<RxPacket> burst) override;
  void release() override {}
  size_t transmit(std::span<const TxPacket> packets) override;
  int poll_fd() const override { return -1; }

 private:
  void read_ahead();

  PortInfo info_;
  std::optional<PcapReader> in_;
  std::optional<PcapWriter> out_;
  Time now_ = Time::max();
  std::optional<Time> next_;                // of the frame read ahead
  std::vector<uint8_t> ahead_;              // that frame
  std::vector<std::vector<uint8_t>> lent_;  // frames handed up, until the next receive()
  Error read_error_{Errc::kOk};
  PortCounters counters_;
};

}  // namespace fairlead::port
