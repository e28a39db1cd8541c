// scriptmode.hpp: scriptmode.h for C++17, with ownership and exceptions; header-only.
//
//     scriptmode::Model model("out/libcell.so");
//     std::vector<float> x(12), h(12);
//     auto y = model.call("forward", scriptmode::tensor(x, {3, 4}), scriptmode::tensor(h, {3, 4}), 100);
//     const float *data = y.data<float>();
//
// A failed call throws scriptmode::Error, whose what() is a traceback with the lines of the program.
// A Value owns what a call has returned and must not outlive its Model; arguments are lent.
#ifndef SCRIPTMODE_HPP
#define SCRIPTMODE_HPP

#include "scriptmode.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace scriptmode {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;

  // Takes the text of C over.
  static Error from(scriptmode_error text) {
    std::string words = text ? text : "out of memory";
    std::free(text);
    return Error(words);
  }
};

template <typename T>
constexpr uint8_t code_of() {
  return std::is_same<T, bool>::value ? 6 : std::is_floating_point<T>::value ? 2
         : std::is_signed<T>::value   ? 0 : 1;
}

// A dense tensor over memory of the caller.
class Tensor {
 public:
  template <typename T>
  Tensor(T *data, std::vector<int64_t> shape) : shape_(std::move(shape)) {
    static_assert(std::is_arithmetic<T>::value, "elements are numbers");
    made_.data = const_cast<typename std::remove_const<T>::type *>(data);
    made_.device_type = 1;
    made_.code = code_of<typename std::remove_const<T>::type>();
    made_.bits = 8 * sizeof(T);
    made_.lanes = 1;
  }

  scriptmode_tensor *get() {
    made_.ndim = static_cast<int32_t>(shape_.size());
    made_.shape = shape_.data();
    return &made_;
  }

 private:
  std::vector<int64_t> shape_;
  scriptmode_tensor made_ = {};
};

template <typename T>
Tensor tensor(std::vector<T> &data, std::vector<int64_t> shape) {
  return Tensor(data.data(), std::move(shape));
}

// A result, or an element of one.
class Value {
 public:
  Value() = default;
  Value(scriptmode_model *model, scriptmode_value value) : model_(model), value_(value) {}
  Value(Value &&other) noexcept
      : model_(std::exchange(other.model_, nullptr)), value_(other.value_) {}
  Value &operator=(Value &&other) noexcept {
    std::swap(model_, other.model_);
    std::swap(value_, other.value_);
    return *this;
  }
  ~Value() {
    if (model_) scriptmode_release(model_, &value_);
  }

  int kind() const { return value_.kind; }
  bool is_none() const { return kind() == SCRIPTMODE_NONE; }
  bool boolean() const { return expect(SCRIPTMODE_BOOL).as.integer != 0; }
  int64_t integer() const { return expect(SCRIPTMODE_INT).as.integer; }
  double real() const { return expect(SCRIPTMODE_FLOAT).as.real; }
  std::string text() const {
    const scriptmode_value &v = expect(SCRIPTMODE_STR);
    return std::string(v.as.text, static_cast<size_t>(v.n));
  }
  size_t size() const { return static_cast<size_t>(value_.n); }

  // An element of a list or tuple, or of a dict's keys and values by turns; owned by this value.
  Value operator[](size_t index) const {
    bool holds = kind() == SCRIPTMODE_LIST || kind() == SCRIPTMODE_TUPLE ||
                 kind() == SCRIPTMODE_DICT;
    if (!holds || index >= size()) throw Error("there is no such element");
    return Value(nullptr, value_.as.items[index]);
  }

  std::vector<int64_t> shape() const {
    const scriptmode_tensor *t = expect(SCRIPTMODE_TENSOR).as.tensor;
    return std::vector<int64_t>(t->shape, t->shape + t->ndim);
  }
  std::vector<int64_t> strides() const {
    const scriptmode_tensor *t = expect(SCRIPTMODE_TENSOR).as.tensor;
    return std::vector<int64_t>(t->strides, t->strides + t->ndim);
  }
  template <typename T>
  const T *data() const {
    const scriptmode_tensor *t = expect(SCRIPTMODE_TENSOR).as.tensor;
    if (t->code != code_of<T>() || t->bits != 8 * sizeof(T)) throw Error("other elements");
    return reinterpret_cast<const T *>(static_cast<const char *>(t->data) + t->byte_offset);
  }

 private:
  const scriptmode_value &expect(int kind) const {
    if (value_.kind != kind) throw Error("the value is of another kind");
    return value_;
  }

  scriptmode_model *model_ = nullptr;  // null: another value owns this one
  scriptmode_value value_ = {};
};

class Model {
 public:
  explicit Model(const std::string &library, const std::string &weights = "") {
    scriptmode_error error = nullptr;
    model_ = scriptmode_open(library.c_str(), weights.empty() ? nullptr : weights.c_str(), &error);
    if (!model_) throw Error::from(error);
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;
  ~Model() { scriptmode_close(model_); }

  std::vector<std::string> methods() const {
    std::vector<std::string> found;
    for (int64_t i = 0; i < model_->api->n_methods; i++)
      found.push_back(model_->api->methods[i].signature);
    return found;
  }

  // May be called from several threads at once.
  template <typename... Arguments>
  Value call(const std::string &method, Arguments &&...arguments) {
    const scriptmode_value given[sizeof...(Arguments) + 1] = {convert(arguments)...};
    scriptmode_value result;
    scriptmode_error error = nullptr;
    if (scriptmode_call(model_, method.c_str(), given, sizeof...(Arguments), &result, &error))
      throw Error::from(error);
    return Value(model_, result);
  }

 private:
  static scriptmode_value convert(Tensor &tensor) { return scriptmode_tensor_value(tensor.get()); }
  static scriptmode_value convert(const std::string &text) {
    scriptmode_value value = scriptmode_text_value(text.c_str());
    value.n = static_cast<int64_t>(text.size());
    return value;
  }
  static scriptmode_value convert(const char *text) { return scriptmode_text_value(text); }
  static scriptmode_value convert(std::nullptr_t) { return scriptmode_none_value(); }
  static scriptmode_value convert(bool truth) { return scriptmode_bool_value(truth); }
  static scriptmode_value convert(double number) { return scriptmode_float_value(number); }
  static scriptmode_value convert(int number) { return scriptmode_int_value(number); }
  static scriptmode_value convert(int64_t number) { return scriptmode_int_value(number); }

  scriptmode_model *model_ = nullptr;
};

}  // namespace scriptmode

#endif  // SCRIPTMODE_HPP
