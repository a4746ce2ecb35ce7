#include "control/socket/server.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "control/socket/client.h"
#include "control/socket/unix_address.h"

namespace fairlead::control {
namespace {

CommandTable commands() {
  CommandTable table;
  table.add("ping", [](const Json&) -> Result<Json> { return Json("pong"); });
  table.add("large", [](const Json&) -> Result<Json> { return Json(std::string(8 << 20, 'x')); });
  return table;
}

class ControlServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "control_test.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    path_ = directory_ + "/run/control.sock";
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void open() {
    auto server = ControlServer::open(path_, commands());
    ASSERT_TRUE(server.has_value()) << server.error().to_string();
    server_ = std::move(*server);
  }

  // A client whose side of the conversation the test plays by hand.
  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const Result<sockaddr_un> address = unix_address(path_);
    EXPECT_EQ(::connect(fd.get(), as_sockaddr(*address), sizeof(*address)), 0);
    return fd;
  }
  void turn() { server_->on_ready(now_); }
  static void say(const UniqueFd& fd, std::string_view text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Everything there is to read now; "EOF" behind it when the server has closed.
  static std::string hear(const UniqueFd& fd) {
    std::string out;
    std::string buffer(1 << 16, '\0');
    ssize_t n = 0;
    while ((n = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0) {
      out.append(buffer, 0, static_cast<size_t>(n));
    }
    return n == 0 ? out + "EOF" : out;
  }

  std::string directory_;
  std::string path_;
  Time now_{seconds(1000)};
  std::unique_ptr<ControlServer> server_;
};

constexpr std::string_view kPing = "{\"command\":\"ping\"}\n";
constexpr std::string_view kPong = "{\"ok\":true,\"result\":\"pong\"}\n";

TEST_F(ControlServerTest, RequestsAreAnsweredInTurn) {
  open();
  const UniqueFd client = connect();
  say(client, std::string(kPing) + std::string(kPing) + "nonsense\n{\"comm");
  turn();
  turn();
  EXPECT_EQ(hear(client), std::string(kPong) + std::string(kPong) +
                              "{\"error\":\"found no JSON; expected one object\",\"ok\":false}\n");
  say(client, "and\":\"ping\"}\n");
  turn();
  EXPECT_EQ(hear(client), kPong);
}

TEST_F(ControlServerTest, ClientLibraryGetsResultsAndErrors) {
  open();
  auto asked = std::async(std::launch::async, [&] {
    return std::make_tuple(control_request(path_, {.command = "ping"}, seconds(10)),
                           control_request(path_, {.command = "pin"}, seconds(10)),
                           control_request(path_, {.command = "large"}, seconds(10)));
  });
  while (asked.wait_for(milliseconds(1)) != std::future_status::ready) turn();
  const auto [ping, unknown, large] = asked.get();
  EXPECT_EQ(ping.value(), Json("pong"));
  EXPECT_EQ(unknown.error().message, R"(unknown command "pin"; did you mean "ping"?)");
  EXPECT_EQ(large.value().get<std::string>().size(), size_t{8} << 20);
}

TEST_F(ControlServerTest, AClientThatDoesNotReadIsDropped) {
  open();
  const UniqueFd client = connect();
  say(client, "{\"command\":\"large\"}\n");
  turn();
  turn();
  EXPECT_EQ(server_->client_count(), 1u);
  now_ += Session::kWriteTimeout - milliseconds(1);
  turn();
  EXPECT_EQ(server_->client_count(), 1u);
  EXPECT_EQ(server_->next_deadline(), now_ + milliseconds(1));
  now_ += milliseconds(1);
  turn();
  EXPECT_EQ(server_->client_count(), 0u);
  EXPECT_EQ(server_->counters().clients_timed_out, 1u);
}

TEST_F(ControlServerTest, AnIdleClientIsDroppedAndLeavesNoDeadline) {
  open();
  const UniqueFd client = connect();
  turn();
  now_ += Session::kIdleTimeout;
  turn();
  EXPECT_EQ(hear(client), "EOF");
  EXPECT_EQ(server_->next_deadline(), std::nullopt);
}

TEST_F(ControlServerTest, ARequestBeyondTheBoundIsRefusedAndTheClientDropped) {
  open();
  const UniqueFd client = connect();
  say(client, std::string(kMaxRequest + 1, 'x'));
  turn();
  turn();
  EXPECT_EQ(server_->client_count(), 0u);
  EXPECT_EQ(server_->counters().requests_too_long, 1u);
  EXPECT_TRUE(hear(client).starts_with("{\"error\":\"a request has at most 4096 bytes\""));
}

TEST_F(ControlServerTest, ClientsBeyondTheBoundAreRefusedUntilAPlaceIsFree) {
  open();
  std::vector<UniqueFd> clients;
  for (size_t i = 0; i < ControlServer::kMaxClients; ++i) {
    clients.push_back(connect());
    turn();
  }
  const UniqueFd refused = connect();
  turn();
  EXPECT_EQ(hear(refused), "{\"error\":\"too many control clients\",\"ok\":false}\nEOF");
  EXPECT_EQ(server_->counters().clients_refused, 1u);

  clients.pop_back();
  turn();
  const UniqueFd accepted = connect();
  say(accepted, kPing);
  turn();
  turn();
  EXPECT_EQ(hear(accepted), kPong);
}

TEST_F(ControlServerTest, OnlyItsUserMayConnect) {
  open();
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ControlServerTest, TheSocketIsRemovedAtTheEnd) {
  open();
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, ASocketLeftBehindIsReplaced) {
  open();
  // What a crash leaves: a socket file nobody listens on.
  std::filesystem::rename(path_, path_ + ".kept");
  server_.reset();
  std::filesystem::rename(path_ + ".kept", path_);
  open();
  const UniqueFd client = connect();
  EXPECT_TRUE(client);
}

TEST_F(ControlServerTest, ASocketInUseIsAClearError) {
  open();
  const auto second = ControlServer::open(path_, commands());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::kAddressInUse);
  EXPECT_EQ(second.error().message,
            "control socket " + path_ +
                ": in use by another Fairlead; give this one its own with \"control_socket PATH\"");
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, AFileThatIsNoSocketIsLeftAlone) {
  std::filesystem::create_directories(directory_ + "/run");
  std::ofstream(path_) << "precious";
  const auto server = ControlServer::open(path_, commands());
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().message,
            "control socket " + path_ + ": a file that is no socket is in its place");
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, NobodyListeningIsSaidWithWhatToDo) {
  const Result<Json> reply = control_request(path_, {.command = "ping"}, seconds(1));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().message,
            "no Fairlead answers at " + path_ +
                " (No such file or directory); is \"fairlead run\" running, and with this "
                "control_socket?");
}

}  // namespace
}  // namespace fairlead::control
