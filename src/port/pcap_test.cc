#include "port/pcap.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace fairlead::port {
namespace {

class PcapTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  std::string path_ = testing::TempDir() + "fairlead-" + std::to_string(::getpid()) + ".pcap";
};

constexpr Time kStart{seconds(100) + nanoseconds(123456789)};

void write_frames(const std::string& path, std::initializer_list<std::vector<uint8_t>> frames) {
  auto writer = PcapWriter::create(path);
  ASSERT_TRUE(writer) << writer.error().to_string();
  Time when = kStart;
  for (const auto& frame : frames) {
    writer->write(frame, when);
    when += milliseconds(1);
  }
  ASSERT_TRUE(writer->flush());
}

TEST_F(PcapTest, WhatWasWrittenIsReadBackToTheNanosecond) {
  std::vector<uint8_t> super_packet(65000, 7);
  write_frames(path_, {{1, 2, 3}, super_packet});
  auto reader = PcapReader::open(path_);
  ASSERT_TRUE(reader);
  auto first = reader->next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->when, kStart);
  EXPECT_EQ((*first)->frame.size(), 3u);
  auto second = reader->next();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->when, kStart + milliseconds(1));
  EXPECT_EQ((*second)->frame.size(), super_packet.size());
  EXPECT_FALSE(*reader->next());
}

TEST_F(PcapTest, MissingFileAndForeignFileAreRefusedByName) {
  const auto missing = PcapReader::open("/nonexistent.pcap");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nonexistent.pcap"), std::string::npos);
  std::FILE* file = std::fopen(path_.c_str(), "w");
  std::fputs("this is not a capture, whatever its name says", file);
  std::fclose(file);
  EXPECT_FALSE(PcapReader::open(path_));
}

TEST_F(PcapTest, CutOffFileGivesItsWholeFramesAndThenAnError) {
  write_frames(path_, {{1, 2, 3}, {4, 5, 6}});
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  auto reader = PcapReader::open(path_);
  ASSERT_TRUE(reader);
  EXPECT_TRUE(reader->next());
  EXPECT_EQ(reader->next().error().code, Errc::kBadMessage);
}

TEST_F(PcapTest, PortReplaysFramesAsTheirTimeComes) {
  write_frames(path_, {{1}, {2}, {3}});
  PcapPort port({.name = "replay", .mac = {}}, std::move(*PcapReader::open(path_)), std::nullopt);
  std::array<RxPacket, 8> burst;
  port.set_now(kStart - nanoseconds(1));
  EXPECT_EQ(port.receive(burst), 0u);
  EXPECT_EQ(port.next_time(), kStart);
  port.set_now(kStart + milliseconds(1));
  ASSERT_EQ(port.receive(burst), 2u);
  EXPECT_EQ(burst[0].frame[0], 1);
  EXPECT_EQ(burst[1].frame[0], 2);
  port.release();
  port.set_now(Time::max());
  ASSERT_EQ(port.receive(burst), 1u);
  EXPECT_EQ(burst[0].frame[0], 3);
  port.release();
  EXPECT_EQ(port.next_time(), std::nullopt);
  EXPECT_EQ(port.counters().rx_packets, 3u);
}

TEST_F(PcapTest, PortRecordsWhatIsSentWithHeaderAndPayloadJoined) {
  const std::array<uint8_t, 2> payload{8, 9};
  TxPacket packet;
  packet.clear();
  packet.header[0] = 7;
  packet.header_size = 1;
  packet.payload[0] = payload;
  packet.payload_count = 1;
  packet.payload_size = 2;
  {
    PcapPort port({.name = "record", .mac = {}}, std::nullopt,
                  std::move(*PcapWriter::create(path_)));
    port.set_now(kStart);
    EXPECT_EQ(port.transmit({&packet, 1}), 1u);
  }
  auto reader = PcapReader::open(path_);
  const auto record = reader->next();
  ASSERT_TRUE(record && *record);
  EXPECT_EQ((*record)->when, kStart);
  EXPECT_EQ(std::vector<uint8_t>((*record)->frame.begin(), (*record)->frame.end()),
            (std::vector<uint8_t>{7, 8, 9}));
}

}  // namespace
}  // namespace fairlead::port
