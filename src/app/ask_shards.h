// ask_shards(): one question to every shard, answered by its own thread between two bursts.
//
// The control thread waits, a bounded time; a shard never does. An answer that comes too late goes
// to a mailbox nobody reads any more, which is why mailboxes are shared.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <memory>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fairlead::app {

// A busy shard answers within a burst, far below a millisecond; this is for one that hangs.
inline constexpr Duration kAnswerTimeout = seconds(2);

/// Posts `question` to each of `shards` (pointer-like; the pointee has bool post(callable), false
/// when it takes no more, and is destroyed only when its thread has ended) and collects the answers
/// in their order. All shards get the same time, which runs from now. ETIMEDOUT or ENOBUFS with a
/// message that names a shard which does not answer.
template <typename Shards, typename Question>
auto ask_shards(const Shards& shards, const Question& question, Duration timeout = kAnswerTimeout)
    -> Result<std::vector<std::invoke_result_t<Question, decltype(**shards.begin())>>> {
  using Shard = std::remove_reference_t<decltype(**shards.begin())>;
  using Answer = std::invoke_result_t<Question, Shard&>;
  const auto deadline = std::chrono::steady_clock::now() + timeout;

  std::vector<std::future<Answer>> mailboxes;
  for (const auto& pointer : shards) {
    Shard* shard = &*pointer;
    auto promise = std::make_shared<std::promise<Answer>>();
    mailboxes.push_back(promise->get_future());
    if (!shard->post([shard, promise, question] { promise->set_value(question(*shard)); })) {
      return fail(Errc::kNoBufferSpace,
                  fmt::format("shard {} has too many questions waiting", mailboxes.size() - 1));
    }
  }

  std::vector<Answer> answers;
  for (std::future<Answer>& mailbox : mailboxes) {
    if (mailbox.wait_until(deadline) != std::future_status::ready) {
      return fail(Errc::kTimedOut, fmt::format("shard {} does not answer", answers.size()));
    }
    answers.push_back(mailbox.get());
  }
  return answers;
}

}  // namespace fairlead::app
