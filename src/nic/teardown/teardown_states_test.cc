// Teardown's state machine: every state, every event.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "nic/teardown/teardown_fixture.h"

namespace fairlead::nic {
namespace {

using namespace wire::tcp_flag;

enum Column { kF1, kF2, kCl, kLa, kTw, kColumns };
constexpr const char* kNames[] = {"FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK", "TIME-WAIT"};

class StateMachine : public Teardowns {
 protected:
  void enter(Column column) {
    reset({});
    Handover h = handover();
    h.peer_closed = column == kLa;
    ASSERT_TRUE(take(h).has_value());
    sent();
    rcv_nxt_ = kRcvNxt;
    una_ = kUna;
    if (column == kF2 || column == kTw) deliver_ack(una_ = kEnd);
    if (column == kCl || column == kTw) {
      deliver(segment(kFin | kAck, rcv_nxt_, una_));
      rcv_nxt_ += 1;
    }
    sent();
    ASSERT_EQ(state(), kNames[column]);
  }
  /// "STATE answer", answer: - nothing, A an ACK, R a RST, D data; "reopened" when it is.
  std::string after(Column column, const std::string& event) {
    enter(column);
    bool reopened = false;
    if (event == "timer") {
      pass(latest(column == kF2 || column == kTw ? seconds(60) : kRto));
    } else {
      reopened = deliver(make(event)) == Teardown::Outcome::kReopened;
    }
    if (reopened) return "reopened -";
    const std::vector<Sent> out = sent();
    std::string answer = out.empty() ? "-" : "";
    for (const Sent& s : out) {
      answer += (s.flags & kRst) != 0 ? "R" : s.size > 0 ? "D" : "A";
    }
    const bool over = !teardown_->state(tuple(5000)) && column == kTw;
    return (over ? "gone" : state()) + " " + answer;
  }
  TeardownSegment make(const std::string& event) {
    const SeqNum nxt = rcv_nxt_;
    if (event == "everything acked") return segment(kAck, nxt, kEnd);
    if (event == "some acked") return segment(kAck, nxt, kUna + 1000);
    if (event == "old ack") return segment(kAck, nxt, kUna - 1);
    if (event == "ack of what was not sent") return segment(kAck, nxt, kEnd + 1);
    if (event == "FIN") return segment(kFin | kAck, nxt, una_);
    if (event == "FIN, everything acked") return segment(kFin | kAck, nxt, kEnd);
    if (event == "FIN behind a gap") return segment(kFin | kAck, nxt + 10, una_);
    if (event == "what was last, again") return segment(kFin | kAck, nxt - 1, una_);
    if (event == "data") return segment(kAck, nxt, una_, 10);
    if (event == "data and FIN") return segment(kAck | kFin, nxt, una_, 10);
    if (event == "old data") return segment(kAck, nxt - 10, una_, 10);
    if (event == "data beyond the window") return segment(kAck, nxt + kWindow, una_, 10);
    if (event == "RST, exact") return segment(kRst, nxt, {});
    if (event == "RST in the window") return segment(kRst, nxt + 1, {});
    if (event == "RST outside") return segment(kRst, nxt - 1, {});
    if (event == "SYN") return segment(kSyn, nxt + 100, {});
    if (event == "SYN for a listener") {
      TeardownSegment s = segment(kSyn, nxt + 100, {});
      s.to_listener = true;
      return s;
    }
    if (event == "no ACK") return segment(0, nxt, {});
    ADD_FAILURE() << event;
    return {};
  }

  SeqNum rcv_nxt_;
  SeqNum una_;
};

TEST_F(StateMachine, DoesTheRightThingInEveryStateForEveryEvent) {
  struct Row {
    const char* event;
    std::array<const char*, kColumns> after;
  };
  // clang-format off
  const Row rows[] = {
    {"everything acked",         {"FIN-WAIT-2 -", "FIN-WAIT-2 -", "TIME-WAIT -", "closed -", "TIME-WAIT -"}},
    {"some acked",               {"FIN-WAIT-1 -", "FIN-WAIT-2 -", "CLOSING -", "LAST-ACK -", "TIME-WAIT -"}},
    {"old ack",                  {"FIN-WAIT-1 -", "FIN-WAIT-2 -", "CLOSING -", "LAST-ACK -", "TIME-WAIT -"}},
    {"ack of what was not sent", {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT -"}},
    {"FIN",                      {"CLOSING A", "TIME-WAIT A", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"FIN, everything acked",    {"TIME-WAIT A", "TIME-WAIT A", "TIME-WAIT -", "closed -", "TIME-WAIT A"}},
    {"FIN behind a gap",         {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"what was last, again",     {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"data",                     {"reset for data R", "reset for data R", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"data and FIN",             {"reset for data R", "reset for data R", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"old data",                 {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"data beyond the window",   {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"RST, exact",               {"reset by peer -", "reset by peer -", "reset by peer -", "reset by peer -", "TIME-WAIT -"}},
    {"RST in the window",        {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT -"}},
    {"RST outside",              {"FIN-WAIT-1 -", "FIN-WAIT-2 -", "CLOSING -", "LAST-ACK -", "TIME-WAIT -"}},
    {"SYN",                      {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "TIME-WAIT A"}},
    {"SYN for a listener",       {"FIN-WAIT-1 A", "FIN-WAIT-2 A", "CLOSING A", "LAST-ACK A", "reopened -"}},
    {"no ACK",                   {"FIN-WAIT-1 -", "FIN-WAIT-2 -", "CLOSING -", "LAST-ACK -", "TIME-WAIT -"}},
    {"timer",                    {"FIN-WAIT-1 D", "never closed -", "CLOSING D", "LAST-ACK D", "gone -"}},
  };
  // clang-format on
  for (const Row& row : rows) {
    for (int column = kF1; column < kColumns; ++column) {
      EXPECT_EQ(after(static_cast<Column>(column), row.event),
                row.after[static_cast<size_t>(column)])
          << kNames[column] << ", " << row.event;
    }
  }
}

}  // namespace
}  // namespace fairlead::nic
