// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/pickle.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr Bytes kMaxPickleRead = Bytes{64} * 1024 * 1024;
constexpr std::size_t kMaxValues = 1'000'000;
constexpr std::size_t kMaxImports = 256;
constexpr std::size_t kMaxGlobalName = 1024;

/// A value on the stack. Of a string, where its opcode is; of all others nothing is known.
using StackValue = std::int64_t;
constexpr StackValue kUnknown = -1;
constexpr StackValue kMark = -2;

class Scanner {
 public:
  explicit Scanner(RangeReader& reader) : reader_(reader) {}

  PickleScan run() {
    while (step()) {
    }
    if (reader_.has_failed()) scan_.end = PickleEnd::unreadable;
    return std::move(scan_);
  }

 private:
  /// Carries out one opcode; false where the pickle ends.
  bool step() {
    const Bytes begin = reader_.position();
    const auto opcode = reader_.byte();
    if (!opcode) return fail();
    if (!data(*opcode, begin)) return false;

    const bool is_bounded = stack_.size() <= kMaxValues && reader_.loaded() <= kMaxPickleRead;
    return is_bounded || give_up();
  }

  /// The first reason counts.
  bool end(PickleEnd how) {
    if (!std::exchange(has_ended_, true)) scan_.end = how;
    return false;
  }
  bool fail() { return end(PickleEnd::broken); }
  bool give_up() { return end(PickleEnd::too_long); }

  // ---- opcodes that push data ----

  bool data(unsigned char opcode, Bytes begin) {
    switch (opcode) {
      case 'N':   // NONE
      case ']':   // EMPTY_LIST
      case '}':   // EMPTY_DICT
      case ')':   // EMPTY_TUPLE
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
      case 0x8f:  // EMPTY_SET
      case 0x97:  // NEXT_BUFFER
        return push(kUnknown);
      case 'K': return skip(1) && push(kUnknown);  // BININT1
      case 'M': return skip(2) && push(kUnknown);  // BININT2
      case 'J': return skip(4) && push(kUnknown);  // BININT
      case 'G': return skip(8) && push(kUnknown);  // BINFLOAT
      case 'F':                                    // FLOAT
      case 'I':                                    // INT
      case 'L':                                    // LONG
      case 'P':                                    // PERSID
        return skip_line() && push(kUnknown);
      case 0x8a:  // LONG1
      case 'C':   // SHORT_BINBYTES
        return skip_counted<std::uint8_t>() && push(kUnknown);
      case 0x8b:  // LONG4
      case 'B':   // BINBYTES
        return skip_counted<std::uint32_t>() && push(kUnknown);
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        return skip_counted<std::uint64_t>() && push(kUnknown);
      case 'S':                                     // STRING
      case 'V': return skip_line() && push(begin);  // UNICODE
      case 'U':                                     // SHORT_BINSTRING
      case 0x8c:                                    // SHORT_BINUNICODE
        return skip_counted<std::uint8_t>() && push(begin);
      case 'T':  // BINSTRING
      case 'X':  // BINUNICODE
        return skip_counted<std::uint32_t>() && push(begin);
      case 0x8d:  // BINUNICODE8
        return skip_counted<std::uint64_t>() && push(begin);
      default: return build(opcode);
    }
  }

  // ---- opcodes that build values ----

  bool build(unsigned char opcode) {
    switch (opcode) {
      case '(': return push(kMark);                                // MARK
      case '0': return pop_any();                                  // POP
      case '1': return pop_mark();                                 // POP_MARK
      case '2': return has(1) && push(StackValue{stack_.back()});  // DUP
      case 'a': return pop(1) && has(1) && changed();              // APPEND
      case 's': return pop(2) && has(1) && changed();              // SETITEM
      case 'e':                                                    // APPENDS
      case 'u':                                                    // SETITEMS
      case 0x90:                                                   // ADDITEMS
        return pop_mark() && has(1) && changed();
      case 'd':   // DICT
      case 'l':   // LIST
      case 't':   // TUPLE
      case 0x91:  // FROZENSET
        return pop_mark() && push(kUnknown);
      case 0x85: return pop(1) && push(kUnknown);       // TUPLE1
      case 0x86: return pop(2) && push(kUnknown);       // TUPLE2
      case 0x87: return pop(3) && push(kUnknown);       // TUPLE3
      case 0x98: return has(1);                         // READONLY_BUFFER
      case 0x80: return skip(1);                        // PROTO
      case 0x95: return skip(8);                        // FRAME
      case '.': return has(1) && end(PickleEnd::stop);  // STOP
      default: return remember(opcode);
    }
  }

  // ---- the memo ----

  bool remember(unsigned char opcode) {
    switch (opcode) {
      case 'p': return put(line_number());            // PUT
      case 'q': return put(number<std::uint8_t>());   // BINPUT
      case 'r': return put(number<std::uint32_t>());  // LONG_BINPUT
      case 0x94: return put(memo_count_);             // MEMOIZE
      case 'g': return get(line_number());            // GET
      case 'h': return get(number<std::uint8_t>());   // BINGET
      case 'j': return get(number<std::uint32_t>());  // LONG_BINGET
      default: return call(opcode);
    }
  }

  bool put(std::optional<std::uint64_t> index) {
    if (!index || !has(1)) return fail();
    if (*index >= kMaxValues) return give_up();

    constexpr StackValue kUnset = -3;
    if (*index >= memo_.size()) memo_.resize(*index + 1, kUnset);
    if (memo_[*index] == kUnset) ++memo_count_;
    memo_[*index] = stack_.back();
    return true;
  }

  /// What nobody put there would fail; it counts as unknown, so that more of the pickle is read.
  bool get(std::optional<std::uint64_t> index) {
    if (!index) return fail();
    const StackValue known = *index < memo_.size() ? memo_[*index] : kUnknown;
    return push(known >= 0 ? known : kUnknown);
  }

  // ---- imports and calls ----

  bool call(unsigned char opcode) {
    switch (opcode) {
      case 'c': return import_lines() && push(kUnknown);                            // GLOBAL
      case 'i': return import_lines() && pop_mark() && called() && push(kUnknown);  // INST
      case 0x93: return import_from_stack();                                        // STACK_GLOBAL
      case 0x82: return skip(1) && import_extension();                              // EXT1
      case 0x83: return skip(2) && import_extension();                              // EXT2
      case 0x84: return skip(4) && import_extension();                              // EXT4
      case 'R':                                                                     // REDUCE
      case 0x81:                                                                    // NEWOBJ
        return pop(2) && called() && push(kUnknown);
      case 0x92: return pop(3) && called() && push(kUnknown);     // NEWOBJ_EX
      case 'o': return pop_mark() && called() && push(kUnknown);  // OBJ
      case 'b': return pop(1) && has(1) && called();              // BUILD
      case 'Q': return pop(1) && push(kUnknown);                  // BINPERSID
      default: return fail();
    }
  }

  bool called() { return scan_.has_called = true; }

  /// What is put into something that was imported, such as sys.path, acts like a call.
  bool changed() {
    if (!scan_.imports.empty()) scan_.has_called = true;
    return true;
  }

  bool import(std::string_view module, std::string_view name) {
    return add_import(std::string(module) + "." + std::string(name));
  }

  bool add_import(std::string_view name) {
    if (scan_.imports.size() == kMaxImports) return give_up();
    scan_.imports.insert(sanitize(name));
    return true;
  }

  bool import_lines() {
    const auto module = line();
    const auto name = module ? line() : std::nullopt;
    return name && import(*module, *name);
  }

  bool import_from_stack() {
    if (!has(2)) return fail();
    const auto name = text_at(stack_.back());
    stack_.pop_back();
    const auto module = text_at(stack_.back());
    stack_.pop_back();
    const bool known = module && name;
    return (known ? import(*module, *name) : add_import(kComputedImport)) && push(kUnknown);
  }

  bool import_extension() { return add_import(kComputedImport) && push(kUnknown); }

  /// The string whose opcode is there; nothing if it is not known, or too long for a name.
  std::optional<std::string> text_at(StackValue value) {
    if (value < 0) return std::nullopt;
    const Bytes back = reader_.position();
    reader_.seek(value);
    auto text = read_text();
    reader_.seek(back);
    return text;
  }

  std::optional<std::string> read_text() {
    const auto opcode = reader_.byte();
    std::uint64_t size = 0;
    switch (opcode.value_or(0)) {
      case 'S':
      case 'V': return line();
      case 'U':
      case 0x8c: size = number<std::uint8_t>().value_or(0); break;
      case 0x8d: size = number<std::uint64_t>().value_or(0); break;
      default: size = number<std::uint32_t>().value_or(0);
    }
    return size > kMaxGlobalName ? std::nullopt : reader_.bytes(static_cast<std::size_t>(size));
  }

  // ---- the stack ----

  bool push(StackValue value) {
    stack_.push_back(value);
    return true;
  }

  /// Whether that many values are above the last mark.
  bool has(std::size_t count) {
    if (count > stack_.size()) return fail();
    for (std::size_t i = 1; i <= count; ++i)
      if (stack_[stack_.size() - i] == kMark) return fail();
    return true;
  }

  bool pop(std::size_t count) {
    if (!has(count)) return false;
    stack_.resize(stack_.size() - count);
    return true;
  }

  bool pop_any() {
    if (stack_.empty()) return fail();
    stack_.pop_back();
    return true;
  }

  bool pop_mark() {
    while (!stack_.empty()) {
      const StackValue value = stack_.back();
      stack_.pop_back();
      if (value == kMark) return true;
    }
    return fail();
  }

  // ---- arguments ----

  bool skip(std::uint64_t size) { return reader_.skip(size) || fail(); }

  template <class Number>
  std::optional<std::uint64_t> number() {
    return reader_.number<Number>(std::endian::little);
  }

  template <class Number>
  bool skip_counted() {
    const auto size = number<Number>();
    return size ? skip(*size) : fail();
  }

  bool skip_line() {
    while (const auto byte = reader_.byte()) {
      if (*byte == '\n') return true;
      if (reader_.loaded() > kMaxPickleRead) return give_up();
    }
    return fail();
  }

  /// A line that may be a name; the scan ends if it is too long for one.
  std::optional<std::string> line() {
    std::string text;
    while (const auto byte = reader_.byte()) {
      if (*byte == '\n') return text;
      text += static_cast<char>(*byte);
      if (text.size() > kMaxGlobalName) break;
    }

    // CPython takes the last line of a file for one, whose last byte it drops as the line's end.
    const bool ends_file = text.size() > 1 && text.size() <= kMaxGlobalName;
    if (ends_file) return text.substr(0, text.size() - 1);
    static_cast<void>(text.size() > kMaxGlobalName ? give_up() : fail());
    return std::nullopt;
  }

  /// CPython reads a number with spaces, a sign or underscores as well. Nobody writes such ones,
  /// and what follows them is not judged. It stops at a NUL.
  std::optional<std::uint64_t> line_number() {
    auto text = line();
    if (!text) return std::nullopt;
    *text = text->substr(0, text->find('\0'));

    const char* const last = text->data() + text->size();
    std::uint64_t number = 0;
    const auto [at, error] = std::from_chars(text->data(), last, number);
    if (error == std::errc() && at == last) return number;

    const bool may_be_number =
        text->find_first_not_of("0123456789+-_ \t\r\v\f") == std::string::npos;
    static_cast<void>(may_be_number ? give_up() : fail());
    return std::nullopt;
  }

  RangeReader& reader_;
  PickleScan scan_;
  std::vector<StackValue> stack_;
  std::vector<StackValue> memo_;  // by index
  std::uint64_t memo_count_{0};
  bool has_ended_{false};
};

}  // namespace

PickleScan scan_pickle(RangeReader& reader) { return Scanner(reader).run(); }

}  // namespace model_prep
