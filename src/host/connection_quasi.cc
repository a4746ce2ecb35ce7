// A connection before it has a full TCB: established by the NIC stack, and nothing has happened
// that 40 bytes could not tell.
//
//   open_confirmed() ─▶ quasi ── read, written, released within a burst ──▶ handed over, gone
//                         │
//                         └── promote(): anything else
//
// "Anything else" is: a second segment; a first one that is not the next in order, or has more than
// text and an ACK to say; more written than a chunk holds; keep-alive, held ACKs, a splice; an end
// that the NIC stack does not take; and the end of the burst, when there is something to
// acknowledge or to send. So what waits as a quasi-TCB is a connection on which nothing was sent
// yet, in either direction.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "host/connection.h"
#include "host/stack.h"

namespace fairlead::host {

bool Connection::take_first(const Segment& segment) {
  using namespace wire::tcp_flag;
  const auto& timestamps = segment.options.timestamps;
  const bool plain = (segment.flags | kPsh) == (kAck | kPsh) && !segment.ce &&
                     segment.segments == 1 && segment.options.sack_count == 0;
  const bool next = quasi_.received == 0 && quasi_.written == nullptr &&
                    segment.seq == quasi_.irs + 1 && segment.ack == quasi_.iss + 1 &&
                    segment.window == quasi_.peer_window && segment.payload.size() <= quasi_.window;
  if (!plain || !next || !timestamps ||
      static_cast<int32_t>(timestamps->value - quasi_.ts_recent) < 0) {
    return false;
  }
  Resources& res = stack_.resources();
  const auto size = static_cast<uint16_t>(segment.payload.size());
  if (size > 0) {
    if (res.borrowed.full() || !res.chunks.promise(ChunkPool::chunks_for(size), true)) return false;
    BorrowedSpans::List list;
    res.borrowed.push(list, segment.payload, segment.buffer);
    quasi_.borrowed = list.head;
    quasi_.received = quasi_.unread = size;
    res.counters.bytes_received += size;
    events_ |= event::kReadable;
  }
  quasi_.ts_recent = timestamps->value;
  quasi_.peer_window = segment.window;
  return true;
}

BorrowedSpans::List Connection::borrowed() const {
  BorrowedSpans::List list{.head = quasi_.borrowed, .tail = quasi_.borrowed, .size = quasi_.unread};
  list.promised = static_cast<uint32_t>(ChunkPool::chunks_for(quasi_.received));
  return list;
}

void Connection::drop_unread(size_t n) {
  BorrowedSpans::List list = borrowed();
  stack_.resources().borrowed.drop_front(list, static_cast<uint32_t>(n));
  quasi_.borrowed = list.head;
  quasi_.unread = static_cast<uint16_t>(list.size);
}

bool Connection::write_first(ByteSpan bytes) {
  if (state_ != State::kEstablished) return false;
  if (bytes.empty()) return true;
  const uint32_t used = quasi_.written != nullptr ? quasi_.written->end : 0;
  if (bytes.size() > Chunk::kCapacity - used) return false;
  if (quasi_.written == nullptr) quasi_.written = stack_.resources().chunks.create();
  if (quasi_.written == nullptr) return false;
  std::ranges::copy(bytes, quasi_.written->data + used);
  quasi_.written->end += static_cast<uint32_t>(bytes.size());
  return true;
}

void Connection::clear_quasi() {
  Resources& res = stack_.resources();
  const BorrowedSpans::List list = borrowed();
  drop_unread(list.size);
  res.chunks.redeem(list.promised);
  quasi_.received = 0;
  if (quasi_.written != nullptr) res.chunks.destroy(std::exchange(quasi_.written, nullptr));
}

void Connection::promote() {
  CHECK(is_quasi());
  const Time now = stack_.now();
  tcb_ = stack_.make_tcb();
  tcb_->heard_at = now;

  Sender& sender = tcb_->sender;
  sender.start(quasi_.iss);
  Sender::Variables& snd = sender.vars();
  snd.una = snd.nxt = quasi_.iss + 1;
  snd.wl1 = quasi_.irs + 1;
  snd.wl2 = quasi_.iss + 1;
  snd.wnd = snd.max_wnd = uint32_t{quasi_.peer_window} << quasi_.send_shift;
  update_mss(now);
  sender.establish(options_->congestion, mss_, quasi_.sack, now);
  if (quasi_.written != nullptr) sender.chain().link(std::exchange(quasi_.written, nullptr));

  start_receiver(tcb_->receiver, borrowed());
  arm_life_timer(now);
}

void Connection::start_receiver(Receiver& receiver, const BorrowedSpans::List& unread) const {
  receiver.offer_shift(quasi_.receive_shift);
  receiver.start(quasi_.irs, options_->receive_buffer_min);
  receiver.offered(quasi_.window);
  receiver.set_peer_uses_sack(quasi_.sack);
  if (quasi_.received > 0) receiver.resume(unread, quasi_.received);
}

void Connection::describe_quasi(nic::Handover& handover, Time now) const {
  Receiver receiver;  // knows what the window is
  start_receiver(receiver, {});
  handover.window = receiver.advertise(mss_, false);
  handover.receive_window = receiver.window();
  handover.send_window = std::min(uint32_t{quasi_.peer_window} << quasi_.send_shift,
                                  CongestionControl::initial_window(mss_));
  handover.rto = RttEstimator::kInitialRto;
  handover.snd_una = handover.snd_nxt = quasi_.iss + 1;
  handover.rcv_nxt = receiver.nxt();
  handover.timestamps = wire::Timestamps{.value = timestamp(now), .echo = quasi_.ts_recent};
}

}  // namespace fairlead::host
