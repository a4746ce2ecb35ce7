#include "port/pcap.h"

#include <algorithm>
#include <array>

namespace fairlead::port {
namespace {

timeval stamp_of(Time when) {
  // With PCAP_TSTAMP_PRECISION_NANO tv_usec holds nanoseconds.
  const auto since = when.time_since_epoch();
  const auto whole = std::chrono::floor<seconds>(since);
  return {.tv_sec = whole.count(), .tv_usec = (since - whole).count()};
}

Time time_of(const timeval& stamp) {
  return Time(seconds(stamp.tv_sec) + nanoseconds(stamp.tv_usec));
}

}  // namespace

Result<PcapWriter> PcapWriter::create(const std::string& path) {
  PcapWriter writer;
  writer.format_.reset(pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kPcapSnapLength,
                                                            PCAP_TSTAMP_PRECISION_NANO));
  if (writer.format_ == nullptr) return fail(Errc::kIo, path + ": out of memory");
  writer.dumper_.reset(pcap_dump_open(writer.format_.get(), path.c_str()));
  if (writer.dumper_ == nullptr) return fail(Errc::kIo, pcap_geterr(writer.format_.get()));
  return writer;
}

void PcapWriter::write(ByteSpan frame, Time when) {
  const auto kept = std::min<size_t>(frame.size(), kPcapSnapLength);
  const pcap_pkthdr header{.ts = stamp_of(when),
                           .caplen = static_cast<bpf_u_int32>(kept),
                           .len = static_cast<bpf_u_int32>(frame.size())};
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, frame.data());
}

void PcapWriter::write(const TxPacket& packet, Time when) {
  TxPacket finished = packet;
  if (finished.checksum_partial) complete_checksum(finished);
  const ByteSpan header = finished.header_bytes();
  joined_.assign(header.begin(), header.end());
  for (size_t i = 0; i < finished.payload_count; ++i) {
    joined_.insert(joined_.end(), finished.payload[i].begin(), finished.payload[i].end());
  }
  write(joined_, when);
}

Result<void> PcapWriter::flush() {
  if (pcap_dump_flush(dumper_.get()) != 0) return fail(Errc::kIo, "capture file: write failed");
  return {};
}

Result<PcapReader> PcapReader::open(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  PcapReader reader(pcap_open_offline_with_tstamp_precision(
      path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (reader.pcap_ == nullptr) return fail(Errc::kIo, error.data());
  if (pcap_datalink(reader.pcap_.get()) != DLT_EN10MB) {
    return fail(Errc::kNotSupported, path + ": not a capture of Ethernet frames");
  }
  return reader;
}

Result<std::optional<PcapReader::Record>> PcapReader::next() {
  for (;;) {
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    const int outcome = pcap_next_ex(pcap_.get(), &header, &bytes);
    if (outcome == PCAP_ERROR_BREAK) return std::nullopt;
    if (outcome != 1) return fail(Errc::kBadMessage, pcap_geterr(pcap_.get()));
    if (header->caplen < header->len) {
      ++truncated_;
      continue;
    }
    return Record{.frame = ByteSpan(bytes, header->caplen), .when = time_of(header->ts)};
  }
}

PcapPort::PcapPort(PortInfo info, std::optional<PcapReader> in, std::optional<PcapWriter> out)
    : info_(std::move(info)), in_(std::move(in)), out_(std::move(out)) {
  read_ahead();
}

void PcapPort::read_ahead() {
  next_.reset();
  if (!in_) return;
  const Result<std::optional<PcapReader::Record>> record = in_->next();
  if (!record) {
    read_error_ = record.error();
    in_.reset();
  } else if (*record) {
    next_ = (*record)->when;
    ahead_.assign((*record)->frame.begin(), (*record)->frame.end());
  }
}

const PortCounters& PcapPort::counters() {
  if (in_) counters_.rx_truncated = in_->truncated();
  return counters_;
}

size_t PcapPort::receive(std::span<RxPacket> burst) {
  if (lent_.size() < burst.size()) lent_.resize(burst.size());
  size_t filled = 0;
  for (; filled < burst.size() && next_ && *next_ <= now_; ++filled) {
    lent_[filled].swap(ahead_);
    burst[filled] = RxPacket{.frame = lent_[filled],
                             .gso_size = 0,
                             .checksum = ChecksumState::kUnknown,
                             .port_index = 0};
    ++counters_.rx_packets;
    counters_.rx_bytes += lent_[filled].size();
    read_ahead();
  }
  return filled;
}

size_t PcapPort::transmit(std::span<const TxPacket> packets) {
  for (const TxPacket& packet : packets) {
    if (out_) out_->write(packet, now_ == Time::max() ? Time() : now_);
    ++counters_.tx_packets;
    counters_.tx_bytes += packet.size();
  }
  return packets.size();
}

}  // namespace fairlead::port
