#include "control/socket/protocol.h"

#include <gtest/gtest.h>

#include "control/socket/commands.h"

namespace fairlead::control {
namespace {

TEST(ControlProtocol, ARequestReadsBackAsItWasWritten) {
  const Request request{.command = "show connections", .arguments = {{"limit", 5}}};
  const std::string line = format_request(request);
  EXPECT_EQ(line.back(), '\n');
  const Result<Request> read = parse_request(line);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->command, request.command);
  EXPECT_EQ(read->arguments, request.arguments);
}

TEST(ControlProtocol, ArgumentsMayBeLeftOut) {
  const Result<Request> read = parse_request(R"({"command":"version"})");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->arguments, Json::object());
}

TEST(ControlProtocol, WhatIsNoRequestIsAnsweredWithWhatWouldBe) {
  const auto error = [](std::string_view line) { return parse_request(line).error().message; };
  EXPECT_EQ(error("show stats"), "found no JSON; expected one object");
  EXPECT_EQ(error(""), "found no JSON; expected one object");
  EXPECT_EQ(error("[]"), R"(expected an object with a string "command")");
  EXPECT_EQ(error(R"({"command":1})"), R"(expected an object with a string "command")");
  EXPECT_EQ(error(R"({"command":"x","arguments":[]})"), R"(expected "arguments" to be an object)");
  EXPECT_EQ(error(std::string(4000, '[')), "found no JSON; expected one object");
}

TEST(ControlProtocol, AReplyReadsBackAsResultOrError) {
  EXPECT_EQ(parse_reply(format_reply(Json{{"a", 1}})).value(), (Json{{"a", 1}}));
  EXPECT_EQ(parse_reply(format_reply(fail(Errc::kNoEntry, "no such thing"))).error().message,
            "no such thing");
  EXPECT_EQ(parse_reply("{}").error().code, Errc::kBadMessage);
  EXPECT_EQ(parse_reply("x").error().code, Errc::kBadMessage);
}

TEST(ControlProtocol, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(parse_reply(format_reply(Json("a\xff"))).value(), Json("a\xef\xbf\xbd"));
}

TEST(ControlProtocol, AReplyBeyondTheBoundBecomesAnError) {
  const Result<Json> reply = parse_reply(format_reply(Json(std::string(kMaxReply, 'x'))));
  ASSERT_FALSE(reply.has_value());
  EXPECT_TRUE(reply.error().message.ends_with("ask for less")) << reply.error().message;
}

TEST(CommandTable, UnknownCommandsAreNamedWithTheNearestKnownOne) {
  CommandTable table;
  table.add("show stats", [](const Json&) -> Result<Json> { return Json(1); });
  table.add("version", [](const Json&) -> Result<Json> { return Json(2); });
  EXPECT_EQ(table.run({.command = "version"}).value(), Json(2));
  EXPECT_EQ(table.run({.command = "show stat"}).error().message,
            R"(unknown command "show stat"; did you mean "show stats"?)");
  EXPECT_EQ(table.run({.command = "frobnicate"}).error().message,
            R"(unknown command "frobnicate"; expected one of: show stats, version)");
}

}  // namespace
}  // namespace fairlead::control
