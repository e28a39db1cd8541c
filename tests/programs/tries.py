"""Programs with ``try``, ``raise`` and ``assert``, and arguments for them."""

from __future__ import annotations

from typing import Dict, List, Optional

import torch


def parse_with_fallback(text: str, default: int) -> int:
    try:
        return int(text)
    except ValueError:
        return default


def last_value_before_the_error(items: List[int], n: int):
    total, last = 0, -1
    try:
        for i in range(n):
            last = i
            total += 100 // items[i]
    except IndexError:
        return "index", total, last
    except ZeroDivisionError as e:
        return str(e), total, last
    return "done", total, last


def unbound_after_the_error(text: str):
    try:
        value = int(text)
    except ValueError:
        pass
    return value + 1


def else_part_and_finally_part(d: Dict[str, int], key: str):
    log: List[str] = []
    try:
        value = d[key]
    except KeyError as e:
        log.append("missing " + repr(e) + str(e))
        value = -1
    else:
        log.append("found")
        value += 1
    finally:
        log.append("finally")
    return value, log


def return_in_finally_wins(n: int):
    try:
        return 10 // n
    except ZeroDivisionError:
        return -1
    finally:
        if n > 5:
            return n


def finally_runs_on_every_way_out(n: int):
    log: List[int] = []
    for i in range(n):
        try:
            if i == 1:
                continue
            if i == 3:
                break
            log.append(i)
        finally:
            log.append(-i)
    else:
        log.append(99)
    return log


def nested_finally(n: int):
    log: List[str] = []
    try:
        try:
            if n == 0:
                return log
            10 // (n - 1)
            log.append("body")
        finally:
            log.append("inner")
    except ZeroDivisionError:
        log.append("caught")
    finally:
        log.append("outer")
    return log


def raise_in_finally(n: int):
    try:
        10 // n
    finally:
        if n < 1:
            raise ValueError("in finally", n)


def raise_in_handler(n: int):
    try:
        10 // n
    except ZeroDivisionError:
        raise KeyError(n)


def raise_from(n: int):
    try:
        10 // n
    except ZeroDivisionError as e:
        if n == 0:
            raise RuntimeError("chained") from e
    raise RuntimeError("not chained") from None


def raise_from_none_in_handler(n: int):
    try:
        10 // n
    except ZeroDivisionError:
        raise RuntimeError("quiet") from None


def raise_from_class(n: int):
    raise RuntimeError("with a cause") from KeyError


def bare_raise(n: int):
    try:
        10 // n
    except ZeroDivisionError:
        if n == 0:
            raise
    return n


def bare_raise_without_exception(n: int):
    raise


def helper_raises_again(n: int):
    if n == 0:
        raise
    return n


def bare_raise_in_a_helper(n: int):
    try:
        10 // n
    except ZeroDivisionError:
        return helper_raises_again(n)
    return -1


def exception_in_a_variable(n: int):
    failure: Optional[Exception] = None
    for i in range(n):
        try:
            if i % 2 == 0:
                raise ValueError("even", i)
            raise KeyError(i)
        except (ValueError, KeyError) as e:
            failure = e
    if failure is not None:
        raise failure
    return "none"


def exceptions_in_a_list(n: int):
    failures: List[Exception] = []
    for i in range(n):
        try:
            [1, 2][i]
        except IndexError as e:
            failures.append(e)
        try:
            10 // (i - 1)
        except ArithmeticError as e:
            failures.append(e)
    return (
        [str(e) for e in failures],
        [type(e).__name__ for e in failures],
        [repr(e) for e in failures],
    )


def describe(e: Exception) -> str:
    return type(e).__name__ + ": " + str(e)


def passed_to_a_function(n: int):
    try:
        return str([1][n])
    except Exception as e:
        return describe(e)


def classes_in_order(n: int):
    try:
        if n == 0:
            raise KeyError("k")
        if n == 1:
            raise IndexError("i")
        if n == 2:
            raise LookupError("l")
        if n == 3:
            raise ZeroDivisionError("z")
        if n == 4:
            raise OverflowError("o")
        if n == 5:
            raise FileNotFoundError("f")
        if n == 6:
            raise StopIteration(3)
        if n == 7:
            raise NotImplementedError
        if n == 8:
            raise KeyboardInterrupt
        return "none"
    except KeyError:
        return "key"
    except LookupError:
        return "lookup"
    except (ZeroDivisionError, OSError):
        return "zero or os"
    except ArithmeticError:
        return "arithmetic"
    except RuntimeError:
        return "runtime"
    except Exception as e:
        return "other " + repr(e)


def isinstance_of_the_exception(n: int):
    try:
        if n == 0:
            raise KeyError("k")
        [1][n]
    except Exception as e:
        if isinstance(e, KeyError):
            return "key", isinstance(e, LookupError), isinstance(e, (ValueError, IndexError))
        return "else", isinstance(e, LookupError), isinstance(e, (ValueError, IndexError))
    return "none", False, False


def arguments(n: int):
    if n == 0:
        raise ValueError
    if n == 1:
        raise ValueError("one", 2, 3.5, None, True)
    if n == 2:
        raise KeyError("quoted")
    if n == 3:
        raise RuntimeError(["a", "b"])
    if n == 4:
        raise RuntimeError((1, "x"))
    if n == 5:
        raise KeyError((1, 2))
    if n == 6:
        raise TypeError(n)
    raise Exception()


def text_of_arguments(n: int):
    try:
        arguments(n)
    except Exception as e:
        return str(e), repr(e), f"{e}", f"{e!r}", len(e.args)
    return "", "", "", "", 0


def not_an_exception(n: int):
    raise n


def asserts(n: int):
    assert n > 0
    assert n > 1, n
    assert n > 2, "text"
    assert n > 3, (n, "pair")
    return n


def errors_of_torch(n: int):
    x = torch.ones(2, 3)
    try:
        y = torch.mm(x, torch.ones(n, 2))
        return "ok", y.sum().item()
    except RuntimeError as e:
        return str(e), 0.0


def error_of_torch_goes_on(n: int):
    try:
        torch.ones(2, 3).view(n)
    except ValueError:
        return 1
    return 2


def error_of_torch_is_raised_again(n: int):
    try:
        torch.ones(2, 3).view(n)
    except RuntimeError as e:
        raise ValueError("wrapped") from e


def tensors_assigned_in_the_body(n: int):
    x = torch.ones(2)
    try:
        x = x + 1
        x = x * 3
        10 // n
        x = x - 100
    except ZeroDivisionError:
        return x
    return x + 0.5


def retry(limit: int, succeeds_at: int):
    attempts = 0
    while True:
        try:
            attempts += 1
            if attempts < succeeds_at:
                raise RuntimeError("attempt " + str(attempts))
            return attempts
        except RuntimeError as e:
            if attempts >= limit:
                raise ValueError("gave up") from e


def while_with_else(n: int):
    log: List[str] = []
    i = 0
    while i < 3:
        try:
            10 // (i - n)
        except ZeroDivisionError:
            log.append("break")
            break
        finally:
            i += 1
    else:
        log.append("else")
    return log, i


def loops_in_handlers(n: int):
    total = 0
    try:
        10 // n
    except ZeroDivisionError:
        for i in range(4):
            try:
                total += 12 // (i - 2)
            except ZeroDivisionError:
                continue
            finally:
                total += 1000
    return total


def deleted_in_the_body(n: int):
    x = 1
    try:
        del x
        10 // n
        x = 2
    except ZeroDivisionError:
        pass
    return x


def type_changes_in_the_body(n: int):
    x: Optional[int] = None
    try:
        x = 5
        10 // n
        x = None
    except ZeroDivisionError:
        return -1 if x is None else x
    return 0 if x is None else x


def name_is_unbound_after_the_clause(n: int):
    e = "outer"
    try:
        10 // n
    except ZeroDivisionError:
        pass
    return e


def context_is_seen_inside(n: int):
    try:
        10 // n
    except ZeroDivisionError:
        try:
            raise ValueError("second")
        except ValueError as v:
            first = v.__context__
            return repr(first), v.__cause__ is None, v.__suppress_context__
    return "", True, True


def nested_retries(n: int):
    out: List[str] = []
    for i in range(n):
        try:
            for j in range(3):
                try:
                    if j == i:
                        raise KeyError(j)
                    out.append(f"{i}{j}")
                except KeyError as e:
                    if i == 1:
                        raise ValueError(i) from e
                    break
        except ValueError as e:
            out.append(f"value {e} {e.__cause__!r}")
    return out


def errors_of_strings_and_numbers(n: int):
    out: List[str] = []
    for i in range(6):
        try:
            if i == 0:
                int("x")
            if i == 1:
                "abc".index("z")
            if i == 2:
                [1].remove(2)
            if i == 3:
                {1: 2}.pop(3)
            if i == 4:
                float("one")
            if i == 5:
                [3].pop(n)
        except (ValueError, LookupError) as e:
            out.append(repr(e))
    return out


def jumps_out_of_named_clauses_run_the_last_part(xs: List[int], n: int):
    try:
        return xs[n]
    except IndexError as e:
        return len(str(e))
    finally:
        xs.append(5)


def loop_jumps_out_of_named_clauses(n: int):
    seen: List[str] = []
    for i in range(n):
        try:
            try:
                [1].remove(i)
            except ValueError as e:
                if i == 3:
                    break
                if i == 2:
                    continue
                seen.append(str(e))
            finally:
                seen.append(str(i))
        except KeyError:
            return seen
    return seen


def two_clauses_with_one_name_in_a_loop(n: int):
    seen: List[str] = []
    for i in range(n):
        try:
            [1].remove(i)
        except ValueError as e:
            seen.append(str(e))
            if i == 2:
                continue
        try:
            {1: 2}.pop(i)
        except KeyError as e:
            seen.append(str(e))
            continue
        seen.append("end")
    return seen


def changes_its_argument(xs: List[int], n: int):
    xs.append(1)
    try:
        xs.append(10 // n)
    finally:
        xs.append(3)


CASES = [
    (parse_with_fallback, ("12", 0), ("x", 7)),
    (last_value_before_the_error, ([1, 2], 2), ([1, 2], 5), ([4, 0], 2)),
    (unbound_after_the_error, ("4",), ("four",)),
    (else_part_and_finally_part, ({"a": 1}, "a"), ({"a": 1}, "b")),
    (return_in_finally_wins, (2,), (0,), (10,)),
    (finally_runs_on_every_way_out, (1,), (2,), (3,), (6,)),
    (nested_finally, (0,), (1,), (2,)),
    (raise_in_finally, (0,), (1,), (-1,)),
    (raise_in_handler, (0,), (1,)),
    (raise_from, (0,), (1,)),
    (raise_from_none_in_handler, (0,), (1,)),
    (raise_from_class, (0,)),
    (bare_raise, (0,), (1,)),
    (bare_raise_without_exception, (0,)),
    (bare_raise_in_a_helper, (0,), (1,)),
    (exception_in_a_variable, (0,), (1,), (2,)),
    (exceptions_in_a_list, (4,)),
    (passed_to_a_function, (0,), (3,)),
    (classes_in_order, *((n,) for n in range(10))),
    (isinstance_of_the_exception, (0,), (5,)),
    (arguments, *((n,) for n in range(8))),
    (text_of_arguments, *((n,) for n in range(8))),
    (not_an_exception, (1,)),
    (asserts, *((n,) for n in range(5))),
    (errors_of_torch, (3,), (4,)),
    (error_of_torch_goes_on, (6,), (4,)),
    (error_of_torch_is_raised_again, (6,), (4,)),
    (tensors_assigned_in_the_body, (0,), (1,)),
    (retry, (3, 2), (3, 9)),
    (while_with_else, (1,), (7,)),
    (loops_in_handlers, (0,), (1,)),
    (deleted_in_the_body, (0,), (1,)),
    (type_changes_in_the_body, (0,), (1,)),
    (name_is_unbound_after_the_clause, (0,), (1,)),
    (context_is_seen_inside, (0,), (1,)),
    (nested_retries, (3,)),
    (errors_of_strings_and_numbers, (9,)),
    (changes_its_argument, ([], 1), ([], 0)),
    (jumps_out_of_named_clauses_run_the_last_part, ([1], 0), ([1], 3)),
    (loop_jumps_out_of_named_clauses, (2,), (3,), (5,)),
    (two_clauses_with_one_name_in_a_loop, (0,), (4,)),
]
