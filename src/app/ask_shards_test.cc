#include "app/ask_shards.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace fairlead::app {
namespace {

// A thread that runs what is posted to it.
class Worker {
 public:
  explicit Worker(int number)
      : number_(number), thread_([this](std::stop_token stop) { run(stop); }) {}

  int number() const { return number_; }
  bool post(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    if (calls_.size() == kMaxCalls) return false;
    calls_.push_back(std::move(call));
    changed_.notify_one();
    return true;
  }

 private:
  static constexpr size_t kMaxCalls = 4;

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return !calls_.empty(); })) {
      const std::function<void()> call = std::move(calls_.front());
      calls_.pop_front();
      lock.unlock();
      call();
      lock.lock();
    }
  }

  int number_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> calls_;
  std::jthread thread_;
};

std::vector<std::unique_ptr<Worker>> workers(int count) {
  std::vector<std::unique_ptr<Worker>> out;
  for (int i = 0; i < count; ++i) out.push_back(std::make_unique<Worker>(i));
  return out;
}

TEST(AskShards, AnswersComeFromTheShardsThreadsInOrder) {
  auto shards = workers(3);
  const auto self = std::this_thread::get_id();
  const auto answers = ask_shards(
      shards,
      [self](Worker& worker) {
        return std::make_pair(worker.number(), std::this_thread::get_id() != self);
      },
      seconds(10));
  ASSERT_TRUE(answers.has_value());
  ASSERT_EQ(answers->size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((*answers)[static_cast<size_t>(i)], std::make_pair(i, true));
  }
}

TEST(AskShards, AShardThatDoesNotAnswerIsNamed) {
  auto shards = workers(2);
  std::promise<void> release;
  shards[1]->post([gate = release.get_future().share()] { gate.wait(); });
  const auto answers =
      ask_shards(shards, [](Worker& worker) { return worker.number(); }, milliseconds(500));
  release.set_value();
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().message, "shard 1 does not answer");
}

TEST(AskShards, AShardWithNoRoomForAQuestionIsNamed) {
  auto shards = workers(2);
  std::promise<void> busy;
  std::promise<void> release;
  shards[1]->post([&busy, gate = release.get_future().share()] {
    busy.set_value();
    gate.wait();
  });
  busy.get_future().wait();  // from here on the thread takes nothing out of its queue
  while (shards[1]->post([] {})) {
  }
  const auto answers =
      ask_shards(shards, [](Worker& worker) { return worker.number(); }, seconds(10));
  release.set_value();
  ASSERT_FALSE(answers.has_value());
  EXPECT_EQ(answers.error().message, "shard 1 has too many questions waiting");
}

}  // namespace
}  // namespace fairlead::app
