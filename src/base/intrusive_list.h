// IntrusiveList: a doubly linked list of objects that carry their own links. No allocation, O(1)
// removal from the middle; the list owns nothing.
//
// A type that is in several lists derives from one ListHook per list, told apart by a tag type.
#pragma once

#include <cstddef>

#include "base/check.h"

namespace fairlead {

template <typename Tag>
class ListHook {
 public:
  ListHook() = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { CHECK(!is_linked()); }

  bool is_linked() const { return next_ != nullptr; }

 private:
  template <typename T, typename U>
  friend class IntrusiveList;
  ListHook* next_ = nullptr;
  ListHook* prev_ = nullptr;
};

template <typename T, typename Tag>
class IntrusiveList {
  using Hook = ListHook<Tag>;

 public:
  IntrusiveList() { head_.next_ = head_.prev_ = &head_; }
  ~IntrusiveList() {
    CHECK(empty());
    head_.next_ = head_.prev_ = nullptr;
  }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next_ == &head_; }
  T& front() { return object(*head_.next_); }
  T& back() { return object(*head_.prev_); }
  const T& front() const { return static_cast<const T&>(*head_.next_); }
  const T& back() const { return static_cast<const T&>(*head_.prev_); }

  static bool is_linked(const T& item) { return static_cast<const Hook&>(item).is_linked(); }

  void push_back(T& item) { link(*head_.prev_, item); }
  void push_front(T& item) { link(head_, item); }
  /// `where` is in this list; `item` is in none with this tag.
  void insert_after(T& where, T& item) { link(where, item); }

  void erase(T& item) {
    Hook& hook = item;
    CHECK(hook.is_linked());
    hook.prev_->next_ = hook.next_;
    hook.next_->prev_ = hook.prev_;
    hook.next_ = hook.prev_ = nullptr;
  }
  /// Takes the first object out; nullptr when there is none.
  T* pop_front() {
    if (empty()) return nullptr;
    T& item = front();
    erase(item);
    return &item;
  }

  template <typename Value, typename HookPointer>
  class Iterator {
   public:
    explicit Iterator(HookPointer at) : at_(at) {}
    Value& operator*() const { return static_cast<Value&>(*at_); }
    Value* operator->() const { return &static_cast<Value&>(*at_); }
    Iterator& operator++() {
      at_ = at_->next_;
      return *this;
    }
    friend bool operator==(Iterator, Iterator) = default;

   private:
    HookPointer at_;
  };
  // The object an iterator stands on may be followed by new ones, but not erased.
  auto begin() { return Iterator<T, Hook*>(head_.next_); }
  auto end() { return Iterator<T, Hook*>(&head_); }
  auto begin() const { return Iterator<const T, const Hook*>(head_.next_); }
  auto end() const { return Iterator<const T, const Hook*>(&head_); }

 private:
  static T& object(Hook& hook) { return static_cast<T&>(hook); }
  static void link(Hook& before, Hook& item) {
    CHECK(!item.is_linked());
    item.next_ = before.next_;
    item.prev_ = &before;
    before.next_->prev_ = &item;
    before.next_ = &item;
  }

  Hook head_;
};

}  // namespace fairlead
