#pragma once

#include <utility>

// A non-owning reference to a method of an object: two words, no allocation. The object must outlive it.
//
//   Callback<void()> callback = bind<&Connection::on_idle>(this);

namespace weft::base {

template <typename Signature>
class Callback;

template <typename Result, typename... Args>
class Callback<Result(Args...)> {
 public:
  using Function = Result (*)(void*, Args...);
  Callback() = default;
  Callback(void* object, Function function) : object_(object), function_(function) {}
  Result operator()(Args... args) const { return function_(object_, std::forward<Args>(args)...); }
  explicit operator bool() const { return function_ != nullptr; }

 private:
  void* object_ = nullptr;
  Function function_ = nullptr;
};

template <auto method>
struct MethodBinder;
template <typename Class, typename Result, typename... Args, Result (Class::*method)(Args...)>
struct MethodBinder<method> {
  static Callback<Result(Args...)> bind(Class* object) {
    return {object, [](void* self, Args... args) -> Result {
              return (static_cast<Class*>(self)->*method)(std::forward<Args>(args)...);
            }};
  }
};

template <auto method, typename Class>
auto bind(Class* object) {
  return MethodBinder<method>::bind(object);
}

}  // namespace weft::base
