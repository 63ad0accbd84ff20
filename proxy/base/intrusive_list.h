#pragma once

#include "proxy/base/assert.h"

// A doubly linked list whose links live in its elements, so that adding and removing never allocate. The list owns
// nothing. An element derives from ListNode<Tag>, once per list it can be on at a time; destroying it unlinks it.
// One thread.

namespace weft::base {

template <typename Tag = void>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool linked() const { return next_ != nullptr; }

  void unlink() {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

 private:
  template <typename T, typename U>
  friend class IntrusiveList;
  ListNode* next_ = nullptr;
  ListNode* prev_ = nullptr;
};

template <typename T, typename Tag = void>
class IntrusiveList {
 public:
  using Node = ListNode<Tag>;

  IntrusiveList() { head_.next_ = head_.prev_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) front().Node::unlink();
    head_.next_ = head_.prev_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() {
    WEFT_ASSERT(!empty());
    return *static_cast<T*>(head_.next_);
  }
  T& back() {
    WEFT_ASSERT(!empty());
    return *static_cast<T*>(head_.prev_);
  }
  void push_back(T& element) { insert(head_.prev_, element, &head_); }
  void push_front(T& element) { insert(&head_, element, head_.next_); }
  T& pop_front() {
    T& element = front();
    static_cast<Node&>(element).unlink();
    return element;
  }

  // Moves all elements of `other` to the end of this list, in order.
  void splice_back(IntrusiveList& other) {
    if (other.empty()) return;
    other.head_.next_->prev_ = head_.prev_;
    head_.prev_->next_ = other.head_.next_;
    other.head_.prev_->next_ = &head_;
    head_.prev_ = other.head_.prev_;
    other.head_.next_ = other.head_.prev_ = &other.head_;
  }

  class Iterator {
   public:
    explicit Iterator(Node* node) : node_(node), following_(node->next_) {}
    T& operator*() const { return *static_cast<T*>(node_); }
    // The element just visited may have been unlinked or destroyed; its follower may not.
    Iterator& operator++() {
      node_ = following_;
      following_ = node_->next_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return node_ != other.node_; }

   private:
    Node* node_;
    Node* following_;
  };
  Iterator begin() { return Iterator(head_.next_); }
  Iterator end() { return Iterator(&head_); }

 private:
  static void insert(Node* before, T& element, Node* after) {
    Node& node = element;
    WEFT_ASSERT(!node.linked());
    node.prev_ = before;
    node.next_ = after;
    before->next_ = &node;
    after->prev_ = &node;
  }
  Node head_;
};

}  // namespace weft::base
